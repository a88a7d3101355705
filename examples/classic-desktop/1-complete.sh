#!/bin/sh
# The desktop picture is 16:10; its transparent part is painted, so that it fills 256 x 256.
set -eu
here=$(dirname "$0")
nuwa inpaint "$here/desktop.png" --alpha -o desktop-full.png --update "$@"
