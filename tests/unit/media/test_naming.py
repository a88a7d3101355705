"""Names of several outputs: fields, slugs, folders, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuwa_cli.errors import UsageError
from nuwa_cli.media.naming import (
    MAX_SLUG_BYTES,
    Kind,
    makes_folder,
    output_names_for,
    output_path,
    slug,
)

JOBS = [("A dog!", 7), ("在草地上 打高尔夫球", 8)]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.png", "image", ["a-0000.png", "a-0001.png"]),
        ("{seed}-{slug}.png", "image", ["7-a-dog.png", "8-在草地上-打高尔夫球.png"]),
        ("{n}/{prompt}.jpg", "image", ["1/a-dog.jpg", "2/在草地上-打高尔夫球.jpg"]),
        ("{index}{suffix}", "video", ["0000.mp4", "0001.mp4"]),
        ("o/", "image", ["o/0000-a-dog.png", "o/0001-在草地上-打高尔夫球.png"]),
        ("{slug}/%04d.png", "video", ["a-dog/%04d.png", "在草地上-打高尔夫球/%04d.png"]),
        ("%02d-{slug}.png", "image", ["00-a-dog.png", "01-在草地上-打高尔夫球.png"]),
        ("{0} {{seed}}-{n}.png", "image", ["{0} {seed}-1.png", "{0} {seed}-2.png"]),
        ("{0}{{x}}.png", "image", ["{0}{x}-0000.png", "{0}{x}-0001.png"]),
    ],
)
def test_names(name: str, kind: Kind, expected: list[str]) -> None:
    assert [str(path) for path in output_names_for(output_path(name), kind, JOBS)] == expected


def test_one_output_needs_no_number() -> None:
    assert output_names_for(Path("a.png"), "image", JOBS[:1]) == [Path("a.png")]
    assert output_names_for(output_path("o/"), "video", JOBS[:1]) == [Path("o/0000-a-dog.mp4")]


def test_more_fields() -> None:
    more = [{"top_k": "3", "size": "50%/x"}, {"top_k": "4", "size": "1"}]
    names = output_names_for(Path("{top-k}-{size}.png"), "image", JOBS, more)
    assert [str(path) for path in names] == ["3-50--x.png", "4-1.png"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("{sed}.png", "there is no field {sed}; use {seed} {slug}"),
        ("x-{suffix}.{nope}", "there is no field {nope}"),
        ("{slug}", "'' is no picture format"),
    ],
)
def test_refused(name: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        output_names_for(Path(name), "image", JOBS)
    assert why in str(error.value)


def test_equal_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"several results would be 'a-dog.png'; put \{seed\}"):
        output_names_for(Path("{slug}.png"), "image", [("a dog", 1), ("A  dog", 2)])


def test_which_folders_a_run_makes() -> None:
    made = [output_path("out/"), Path("{slug}/a.png")]
    assert [makes_folder(path) for path in made] == [True, True]
    plain = [Path("out/a.png"), Path("out/{slug}.png"), Path("{{x}}/a.png")]
    assert not any(makes_folder(path) for path in plain)


@given(st.text(max_size=300))
def test_a_slug_is_always_a_name(text: str) -> None:
    made = slug(text)
    assert 0 < len(made.encode()) <= MAX_SLUG_BYTES
    assert not set(made) & set("/\\\0{}% \n.")
    assert not made.startswith("-")
    assert Path(made).name == made
    assert slug(made) == made or "ß" in text.lower()


def test_slugs() -> None:
    assert slug("  A Red—Bus, at 5 o'clock ") == "a-red-bus-at-5-o-clock"
    assert slug("../../etc/passwd\0") == "etc-passwd"
    assert slug("☃ !") == "untitled"
    assert slug("हिन्दी") == "हिन्दी"
    long = slug("高" * 100)
    assert long == "高" * 20
