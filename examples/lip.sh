#!/bin/sh
# The left part of a street is missing, and no word is said: only what lies right of the hole can tell. With and without seeing that.
set -eu
here=$(dirname "$0")
nuwa inpaint "$here/inputs/car.jpg" --box "0,0,144,256" -n 2 -o lip.png --update "$@"
nuwa inpaint "$here/inputs/car.jpg" --box "0,0,144,256" --engine nuwa -n 2 -o raster.png --update "$@"
