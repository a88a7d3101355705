#!/bin/sh
# Text to clip: as mp4, the same asked for in Chinese as gif, and what no clip of the training showed, with seeds 0 to 7.
set -eu
nuwa t2v "play golf on grass" -o golf.mp4 --update "$@"
nuwa t2v "在草地上打高尔夫球" -o golf.gif --update "$@"
nuwa t2v "play golf on the swimming pool" -n 8 -o pool.mp4 --update "$@"
