"""`-o -` for pictures that are drawn patch by patch: the bytes of the file, and nothing left behind."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.media.image import write_image
from nuwa_cli.media.strip_store import nameless_store

Run = Callable[..., Any]


@pytest.fixture
def send(
    work: Path,
    tmp_path: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., tuple[int, bytes, str]]:
    """Run a command on the tiny model, inside this process, with a folder for temporary files."""
    from nuwa_cli.cli.app import run

    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    write_image(work / "a.png", pixels)
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    monkeypatch.chdir(work)

    def call(*words: str) -> tuple[int, bytes, str]:
        status = run([*words, "--model", str(model_folder)])
        shown = capfdbinary.readouterr()
        assert not list((tmp_path / "scratch").iterdir())
        return status, shown.out, shown.err.decode()

    return call


@pytest.mark.parametrize(
    "words",
    [
        ("extend", "a.png", "--up", "9", "--left", "9", "--seed", "3"),
        ("t2i", "a dog", "--size", "70x40"),
    ],
    ids=["extend", "t2i"],
)
def test_the_stream_is_the_file(
    send: Run, work: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("nuwa_cli.cli.growing.job.strip_store", None)  # nothing beside an output
        status, media, said = send(*words, "-o", "-")
    assert (status, said) == (0, "")
    assert not list(work.glob("b*")) and not list(work.glob(".*"))
    assert send(*words, "-o", "b.png") == (0, b"b.png\n", "")
    assert media == (work / "b.png").read_bytes()


def test_other_formats_are_sent_whole(send: Run) -> None:
    status, media, said = send("extend", "a.png", "--right", "9", "-o", "-", "--format", "webp")
    assert (status, said) == (0, "")
    with Image.open(io.BytesIO(media)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (39, 20))


REFUSED = [
    (
        ("extend", "a.png", "--right", "9", "--resume"),
        "resume: what goes to stdout keeps no journal",
    ),
    (("extend", "a.png", "--right", "9", "--show"), "show: a picture that is drawn piece by piece"),
    (
        ("extend", "a.png", "--right", "9", "-n", "2"),
        "output '-': holds one result, 2 are asked for",
    ),
    (("extend", "a.png", "--right", "99999", "--format", "jpg"), "send a png"),
]


@pytest.mark.parametrize(("words", "why"), REFUSED, ids=[why[:12] for _, why in REFUSED])
def test_what_cannot_be_sent_is_refused(send: Run, words: tuple[str, ...], why: str) -> None:
    status, media, said = send(*words, "-o", "-")
    assert (status, media) == (2, b"")
    assert why in said and said.count("\n") == 1


def test_a_disk_without_room_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from nuwa_cli.errors import OutputError

    monkeypatch.setattr(tempfile, "tempdir", "/no such folder")
    with (
        pytest.raises(OutputError, match=r"temporary file: no such file .*TMPDIR"),
        nameless_store(2, 2),
    ):
        pass
