#!/bin/sh
# The picture starts to move. Needs the result of 2-horse.sh.
set -eu
nuwa predict desktop-horse.png "一匹马在草地上向左走" -o desktop-motion.mp4 --update "$@"
