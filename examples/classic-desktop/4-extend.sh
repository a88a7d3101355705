#!/bin/sh
# The picture goes on to the right, without an end in sight. Needs the result of 2-horse.sh.
set -eu
nuwa extend desktop-horse.png --right 4x -o desktop-wide.png --update "$@"
