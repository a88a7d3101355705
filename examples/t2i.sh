#!/bin/sh
# Four wooden houses: one prompt, four seeds. Extra options go to nuwa: examples/t2i.sh --best-of 4
set -eu
exec nuwa t2i "a wooden house in a field" -n 4 -o house.png --force "$@"
