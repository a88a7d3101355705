#!/bin/sh
# Change the motion of a clip by text: the diver swims level, and shall rise. The first frame stays.
set -eu
here=$(dirname "$0")
nuwa vedit "$here/inputs/diver.mp4" "The diver is swimming to the surface" --keep-first 1 -n 2 -o rising.mp4 --update "$@"
