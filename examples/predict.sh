#!/bin/sh
# A still is set in motion: left to itself, and told where to go.
set -eu
here=$(dirname "$0")
nuwa predict "$here/inputs/horse.jpg" -o horse.mp4 --update "$@"
nuwa predict "$here/inputs/horse.jpg" "a horse runs to the right in the meadow" -o horse-right.mp4 --update "$@"
