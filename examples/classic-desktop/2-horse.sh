#!/bin/sh
# A horse that walks on the grass, in a box, the best of eight candidates. Needs the result of 1-complete.sh.
set -eu
nuwa edit desktop-full.png "一匹在草地上行走的马" --box "64,96,128,128" --best-of 8 -o desktop-horse.png --update "$@"
