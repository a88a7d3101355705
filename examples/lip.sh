#!/bin/sh
# A hole with context on both sides: the front of the car is to be seen right of it only. With and without seeing that.
set -eu
here=$(dirname "$0")
nuwa inpaint "$here/inputs/car.jpg" "a red car in the city" --box "32,112,128,128" -n 2 -o lip.png --force "$@"
nuwa inpaint "$here/inputs/car.jpg" "a red car in the city" --box "32,112,128,128" --engine nuwa -n 2 -o raster.png --force "$@"
