#!/bin/sh
# Sketch to clip: two key sketches, the frames between them are interpolated.
set -eu
here=$(dirname "$0")
nuwa sketch2vid "$here/inputs/boat-first.png" "a sailboat in the sea" --to "$here/inputs/boat-last.png" -o boat.mp4 --update "$@"
