#!/bin/sh
# Repaint a box by text; every pixel outside of it stays as it is.
set -eu
here=$(dirname "$0")
nuwa edit "$here/inputs/horse.jpg" "beach and sky" --box "144,64,112,192" -n 3 -o beach.png --update "$@"
