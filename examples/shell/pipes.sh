#!/bin/sh
# Pipes: prompts come in, media go out, and one nuwa feeds the next. Nothing but results is ever on stdout.
set -eu
printf 'a cat in a room\na dog on the beach\n' | nuwa t2i - -o "pipe-{slug}.png" --update
nuwa t2i "a horse on the grass" -o - | nuwa predict - "the horse runs to the right" --frames 6 -o pipe-horse.gif --force
nuwa t2v "play golf on grass" --frames 6 -o - > pipe-golf.mp4
nuwa t2i "a boat on the sea" -o pipe-boat.png --json --update | python3 -c 'import json, sys; print(json.load(sys.stdin)["outputs"][0]["path"])'
nuwa info pipe-golf.mp4
nuwa replay pipe-boat.png --check
