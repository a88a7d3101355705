# Everything a newcomer types. `make` alone lists it.
# Needs python3 >= 3.11 and make; all else is put into .venv.

PYTHON ?= $(or $(shell command -v python3.11 2>/dev/null),python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

SPRITES := data/sprites
RUNS    := runs
WEIGHTS := weights/storybook

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo examples test test-slow torture check format bench sprites storybook \
        train-tokenizer train-joins train-sketch train-model train-reranker train-evaluator train-segmenter export eval clean

help: ## list the targets
	@echo 'make demo: a clip of a golfer on grass in out.mp4. All targets:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY) ## make .venv with nuwa and its tools (skipped when up to date)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable .
	@touch $@

demo: setup ## play golf on grass: out.mp4
	$(BIN)/nuwa t2v "play golf on grass" -o out.mp4 --force

examples: setup ## every example, and examples/out/gallery.html
	$(MAKE) -C examples

test: setup ## the tests (three minutes on two cores; some only wait, so three at a time)
	$(BIN)/python -m pytest -n 3

test-slow: setup ## the tests that `make test` leaves out
	$(BIN)/python -m pytest -n 2 -m 'slow and not gpu'

torture: setup ## the fault table with the large numbers (an hour)
	NUWA_CASES=torture $(BIN)/python -m pytest tests/robustness

check: setup ## lint, format and types
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy

format: setup ## rewrite the sources in the house format
	$(BIN)/ruff check --fix src tests benchmarks examples
	$(BIN)/ruff format src tests benchmarks examples

bench: setup ## wavefront against raster decoding
	$(BIN)/python benchmarks/decode.py

sprites: $(SPRITES)/index.json ## fetch the open art (npm) and build the sprite pack

$(SPRITES)/index.json: src/nuwa_cli/storybook/data/packages.toml src/nuwa_cli/storybook/data/subjects.toml | setup
	$(BIN)/python -m nuwa_cli.storybook.sprites --out $(SPRITES)

storybook: sprites ## look at a scene of the training world: scene.mp4
	$(BIN)/nuwa storybook --seed 7 --sprites $(SPRITES) -o scene.mp4 --sketch scene-sketch.mp4 --force

train-tokenizer: sprites ## stage one: pictures to tokens and back (CPU hours)
	$(BIN)/nuwa train tokenizer --recipe recipes/tokenizer-cpu.toml --run-dir $(RUNS)/tokenizer

train-joins: sprites ## how the decoder joins a hole to its surroundings (CPU minutes; after train-tokenizer)
	$(BIN)/nuwa train tokenizer --recipe recipes/tokenizer-joins-cpu.toml --run-dir $(RUNS)/joins

train-sketch: sprites ## stage one for sketches (CPU minutes)
	$(BIN)/nuwa train sketch --recipe recipes/sketch-cpu.toml --run-dir $(RUNS)/sketch

train-model: sprites ## stage two: tokens for a prompt (CPU hours)
	$(BIN)/nuwa train model --recipe recipes/model-cpu.toml --run-dir $(RUNS)/model \
	    --tokenizer $(RUNS)/tokenizer --sketch-tokenizer $(RUNS)/sketch

train-reranker: sprites ## the net that --best-of chooses with and that sees places (minutes; after train-model)
	$(BIN)/nuwa train reranker --run-dir $(RUNS)/reranker --text $(RUNS)/model/text.json

train-evaluator: sprites ## the nets that judge in `make eval` (minutes)
	$(BIN)/nuwa train evaluator --run-dir $(RUNS)/evaluator -o $(WEIGHTS)

train-segmenter: sprites ## the net that judges sketches in `make eval` (minutes)
	$(BIN)/nuwa train segmenter --run-dir $(RUNS)/segmenter -o $(WEIGHTS)

export: setup ## finished runs into weights/storybook
	$(BIN)/nuwa train export --tokenizer $(or $(wildcard $(RUNS)/joins),$(RUNS)/tokenizer) --model $(RUNS)/model \
	    --sketch-tokenizer $(RUNS)/sketch $(if $(wildcard $(RUNS)/reranker),--reranker $(RUNS)/reranker) \
	    --temperature 0.6 --top-p 0.92 --persistence 1.5 --place-temperature 0.9 -o $(WEIGHTS)

eval: sprites ## measure the model in weights/storybook
	$(BIN)/nuwa eval --card

clean: ## remove what was built, but not data, runs or .venv
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis out.mp4 scene.mp4 scene-sketch.mp4 examples/out
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
