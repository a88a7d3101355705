#!/bin/sh
# Sketch to picture: three buses of one sketch. The colors of a sketch are listed by: nuwa palette -o legend.png
set -eu
here=$(dirname "$0")
nuwa sketch2img "$here/inputs/bus.png" "a bus in the city" -n 3 -o bus.png --update "$@"
