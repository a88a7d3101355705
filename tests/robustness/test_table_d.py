"""Fault table D: prompts and options."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fault_tools import TIER, Finished, Run, times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import UsageError
from nuwa_cli.media.image import write_image
from nuwa_cli.media.probe import probe
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tokenizer.text import TextTokenizer

Refuses = Callable[..., Finished]


@pytest.mark.row("D1")
def test_prompts_that_say_nothing(refuses: Refuses, inside: Run) -> None:
    silent = ("", " ", "\t\n", "\u3000\u2003", "\u0301\u0302", "...", "\u200d\u200b\ufeff", "؟")
    for prompt in silent:
        inside("t2i", prompt, "-o", "a.png").check_refusal(2, "prompt '")
    refuses(2, "says nothing", "t2i", "\u0301\u0302", "-o", "a.png")
    refuses(2, "prompt ''", "t2i", "", "-o", "a.png")


@pytest.mark.row("D2")
def test_giant_prompts(refuses: Refuses, work: Path) -> None:
    ten_megabytes = b"a dog and " * 1_000_000
    (work / "giant.txt").write_bytes(ten_megabytes)
    refuses(2, "more than 4 MiB", "t2i", "@giant.txt", "-o", "a.png")
    refuses(2, "more than 4 MiB", "t2i", "-", "-o", "a.png", stdin=ten_megabytes)
    refuses(2, "100000 characters", "t2i", "x" * 100_000, "-o", "a.png")
    (work / "giant.txt").write_bytes(b"dog " * 100_000)  # 10^5 tokens on one line
    refuses(2, "399999 characters", "t2i", "@giant.txt", "-o", "a.png")


@pytest.mark.row("D2")
def test_what_does_not_fit_is_said(nuwa: Run, model_folder: Path) -> None:
    prompt = "a dog on the beach and " * 60
    done = nuwa("t2i", prompt, "-o", "a.png", "--model", model_folder)
    assert done.status == 0, done
    assert "prompt is too long; its end is ignored" in done.stderr


ANY_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("👩\u200d👧\u202e\u0301\x1b[2J\r\n\0\ud800\udcff{}%$@-|中文עבר"),
    ),
    max_size=60,
)


@pytest.mark.row("D3")
@settings(
    max_examples=times(150, 2000, 500_000), deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(ANY_TEXT)
def test_any_unicode(prompt: str) -> None:
    """Refused in one visible line, or understood; then the recipe brings it back unchanged."""
    from nuwa_cli.cli.main_errors import one_line
    from nuwa_cli.media.metadata import parse_recipe, recipe_text

    try:
        accepted = check_prompt(prompt)
    except UsageError as error:
        line = one_line(str(error))
        assert all(c >= " " and not "\ud800" <= c <= "\udfff" for c in line)
        assert len(line) <= 240
        return
    ids = tokenizer().encode_batch([accepted], 77)
    assert ids.shape == (1, 77)
    tokenizer().unknown_words(accepted)
    recipe = {"schema": "nuwa.recipe/1", "prompt": accepted}
    text = recipe_text(recipe)
    assert parse_recipe(text) == recipe


_TOKENIZERS: list[TextTokenizer] = []


def tokenizer() -> TextTokenizer:
    """One small tokenizer for all examples."""
    if not _TOKENIZERS:
        _TOKENIZERS.append(TextTokenizer.train(["a dog on the beach", "在草地上打高尔夫球"], 300))
    return _TOKENIZERS[0]


ODD_PROMPTS = (
    *(
        "👩‍👩‍👧 a family",
        "在草地上打高尔夫球",
        "כלב על החוף",
        "e\u0301cole",
        "a\tdog",
        "a\x1b[2Jdog",
    ),
    *("a\u202edog", "a dog\u2028on grass", "\U0001f9ff", "ﬁsh"),
)


@pytest.mark.row("D3")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_recipes_bring_prompts_back(work: Path, suffix: str) -> None:
    import numpy as np

    for index, prompt in enumerate(ODD_PROMPTS):
        path = work / f"{index}.{suffix}"
        recipe = {"schema": "nuwa.recipe/1", "version": "1", "prompt": prompt}
        write_image(path, np.zeros((8, 8, 3), np.uint8), recipe)
        assert probe(path)["recipe"]["prompt"] == prompt


@pytest.mark.row("D3")
def test_odd_prompts_through_the_command(nuwa: Run, refuses: Refuses) -> None:
    for bad in (b"a dog \xff\xfe", b"\xed\xa0\x80 dog"):
        refuses(2, "not valid UTF-8", "t2i", bad, "-o", "a.png")
    done = nuwa("t2i", *ODD_PROMPTS, "-o", "a.png", "--dry-run", "--json")
    assert done.status == 0, done
    said = [entry["prompt"] for entry in json.loads(done.stdout)["outputs"]]
    assert said == list(ODD_PROMPTS)
    assert all(c >= " " or c == "\n" for c in done.stderr)


PLAIN = (
    *("--x", "-o", "-n 5", "--help", "--model=evil", "-", "--"),
    *("{0}", "{prompt}", "%s", "%d%n", "$(touch pwned)", "`touch pwned`", "; touch pwned", "&& x"),
    *("| sh", "> pwned", "\\x41", "../../etc/passwd", "%04d", "${HOME}", "~", "*", "!!", "#", "\\"),
    *("<script>", "'; DROP TABLE", '"""', "{{7*7}}", "%%", "@@home"),
)


@pytest.mark.row("D4")
def test_prompts_that_look_like_something_else(inside: Run, nuwa: Run, work: Path) -> None:
    """A dog stands behind each, so that it says something; the text arrives as it was typed."""
    assert len(PLAIN) >= 30
    prompts = [f"{text} a dog" for text in PLAIN]
    for prompt in prompts:
        done = inside("t2i", "-o", "a.png", "--dry-run", "--json", "--", prompt)
        assert done.status == 0, done
        (output,) = json.loads(done.stdout)["outputs"]
        # `@@` stands for an @ that names no file, `{{` for a brace that begins no variants.
        plain = prompt[1:] if prompt.startswith("@@") else prompt
        assert output["prompt"] == plain.replace("{{", "{").replace("}}", "}")
        assert output["path"] == "a.png"
    done = nuwa("t2i", "-o", "a.png", "--dry-run", "--json", "--", *prompts)
    assert done.status == 0, done
    assert not list(work.iterdir())


def numbers(
    low: float, high: float, *, whole: bool, step: float = 1
) -> tuple[list[str], list[str]]:
    """Values inside and outside of a range, and what is no number."""
    kind: Callable[[float], Any] = int if whole else float
    outside = [low - step, high + step, -(10**12), 10**12]
    texts = ["nan", "inf", "-inf", "text", "", "1e999", "0x10", "١٢x"]
    if whole:
        texts += ["1.5", "1_0_"]
    return [str(kind(low)), str(kind(high))], [*(str(kind(v)) for v in outside), *texts]


OPTIONS: dict[str, tuple[str, list[str], list[str]]] = {
    "--seed": (
        "t2i",
        ["0", str(2**63 - 1), "random"],
        ["-1", str(2**63), str(2**64), "nan", "inf", "text", "", "1e9", "1.5", "0x10"],
    ),
    "--num": ("t2i", *numbers(1, 10_000, whole=True)),
    "--best-of": ("t2i", *numbers(1, 1000, whole=True)),
    "--top-k": ("t2i", ["0", "1", "1000000000"], numbers(0, 10**12, whole=True)[1][:1]),
    "--top-p": ("t2i", ["0.0001", "1"], ["0", "-0.1", "1.1", "nan", "inf", "text"]),
    "--temperature": ("t2i", ["0", "10"], ["-0.1", "-1", "10.1", "nan", "inf", "text"]),
    "--guidance": ("t2i", ["0", "50"], ["-0.1", "50.1", "nan", "inf", "text"]),
    "--persistence": ("t2v", ["0", "50"], ["-1", "50.1", "nan", "inf", "text"]),
    "--frames": ("t2v", *numbers(1, 10_000, whole=True)),
    "--fps": ("t2v", ["0.1", "120"], ["0", "-1", "0.01", "121", "nan", "inf", "text"]),
    "--size": ("t2i", ["256x256"], ["0x0", "1x1", "0x256", "-1x9", "256", "x", "axb", "1e3x1e3"]),
    "--max-memory": ("t2i", ["64G"], ["0", "-1", "G", "nan", "text", "1X", "1 0G"]),
}


@pytest.mark.row("D5")
@pytest.mark.parametrize("option", OPTIONS)
def test_every_number_at_its_limits(inside: Run, work: Path, option: str) -> None:
    """0 inside of its range, 2 outside in one line that names the option, before a model is loaded."""
    command, inside_range, outside = OPTIONS[option]
    name = "a.mp4" if command == "t2v" else "a.png"
    words = (command, "a dog", "-o", name, "--dry-run")
    for value in inside_range:
        if option == "--num" and value == "10000":
            continue  # ten thousand names: right, but slow
        done = inside(*words, f"{option}={value}")
        assert done.status == 0, (value, done)
    for value in outside:
        done = inside(*words, f"{option}={value}")
        done.check_refusal(2, "pixels" if value == "1x1" else option.lstrip("-"))
        assert done.seconds < 1
    assert not list(work.iterdir())


@pytest.mark.row("D5")
def test_numbers_through_the_command(refuses: Refuses) -> None:
    """All of them, in one process: test_every_number_at_its_limits."""
    given = (("--seed", str(2**64)), ("--frames", "0"), ("--top-p", "nan"))
    for option, value in given[: times(1, 3, 3)]:
        command = "t2v" if option == "--frames" else "t2i"
        name = "a.mp4" if command == "t2v" else "a.png"
        refuses(2, option[2:], command, "a dog", "-o", name, option, value)


@pytest.mark.row("D6")
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite(
    inside: Run, work: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """From step 3 on the net answers nonsense: the run says so, and nothing is written."""
    from nuwa_cli.model.nuwa import Nuwa

    step = [0]
    decode = Nuwa.decode_step

    def broken(self: Nuwa, *words: Any, **options: Any) -> torch.Tensor:
        logits = decode(self, *words, **options)
        step[0] += 1
        return torch.full_like(logits, value) if step[0] >= 3 else logits

    monkeypatch.setattr(Nuwa, "decode_step", broken)
    done = inside("t2i", "a dog", "-o", "a.png", "--model", model_folder)
    assert done.status == 5, done
    done.check_refusal(5, "finite")
    assert not list(work.iterdir())


@pytest.mark.row("D7")
def test_devices(nuwa: Run, inside: Run, work: Path) -> None:
    for name in ("cuda:9", "mps", "tpu", "cuda:x", "", "cpu:7", "cuda:-1", "meta"):
        done = inside("t2i", "a dog", "-o", "a.png", "--device", name)
        done.check_refusal(2, f"device '{name}'")
        assert "available: auto, cpu" in done.stderr
    words = ("t2i", "a dog", "-o", "a.png", "--device", "cuda:9")  # it loads torch to know
    (inside if TIER == "quick" else nuwa)(*words).check_refusal(2, "available: ")
    for name in ("int8", "", "bf16", "float64"):
        inside("t2i", "a dog", "-o", "a.png", "--dtype", name).check_refusal(2, "dtype")
    assert not list(work.iterdir())
