#!/bin/sh
# Larger: a wide picture of a text; a picture that grows on all sides; a road that leads from the farm to the city. Longer: a clip of 60 frames.
set -eu
here=$(dirname "$0")
nuwa t2i "a sailboat in the sea" --size 1024x256 -o wide.png --update "$@"
nuwa extend "$here/inputs/castle.jpg" --around 128 -o around.png --update "$@"
nuwa extend "$here/inputs/horse.jpg" --right 4x --prompt-at 512:"a farm" --prompt-at 768:"a red car on the beach" -o journey.png --update "$@"
nuwa extend golf.mp4 "play golf on grass" --frames 60 -o golf-long.mp4 --update "$@"
