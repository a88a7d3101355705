#!/bin/sh
# Text to picture: four wooden houses, one prompt and four seeds. Extra options go to nuwa: examples/t2i.sh --best-of 4
set -eu
nuwa t2i "a wooden house in a field" -n 4 -o house.png --update "$@"
