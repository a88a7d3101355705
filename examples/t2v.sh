#!/bin/sh
# A clip as mp4 and the same one, asked for in Chinese, as gif. Extra options go to nuwa.
set -eu
nuwa t2v "play golf on grass" -o golf.mp4 --force "$@"
nuwa t2v "在草地上打高尔夫球" -o golf.gif --force "$@"
