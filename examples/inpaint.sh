#!/bin/sh
# Completion: of the lower half of a picture; from 5 % of one, its upper left corner; and from another 5 %, with a few words.
set -eu
here=$(dirname "$0")
nuwa inpaint "$here/inputs/castle.jpg" --box "0,50%,100%,50%" -n 3 -o castle.png --update "$@"
nuwa inpaint "$here/inputs/boat.jpg" --box "0,0,64,48" --mask-invert -n 3 -o evening.png --update "$@"
nuwa inpaint "$here/inputs/boat.jpg" "a sailboat in the sea at sunset" --box "96,96,64,48" --mask-invert -n 3 -o sunset.png --update "$@"
