"""Pieces in, rows out, on disk; and the journal that survives being killed."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import EnvironmentFault, InputError, OutputError
from nuwa_cli.media.step_journal import journal_path, open_journal
from nuwa_cli.media.strip_store import check_space, strip_store

DIGEST = bytes(range(32))


def pieces_of(height: int, width: int, piece: int) -> list[tuple[int, int, int, int]]:
    return [
        (top, left, min(piece, height - top), min(piece, width - left))
        for top in range(0, height, piece)
        for left in range(0, width, piece)
    ]


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    piece=st.integers(1, 80),
    seed=st.integers(0, 99),
)
def test_pieces_in_any_order_come_out_as_rows(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, piece: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("store")
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    boxes = pieces_of(height, width, piece)
    random.Random(seed).shuffle(boxes)
    with strip_store(folder / "a.png", height, width) as store:
        for top, left, h, w in boxes:
            assert not store.is_complete((0, 0, height, width))
            store.write(top, left, pixels[top : top + h, left : left + w])
            assert store.is_complete((top, left, h, w))
        assert (np.concatenate(list(store.rows())) == pixels).all()
        top, left = height // 3, width // 2
        part = np.concatenate(list(store.rows((top, left, height - top, width - left))))
        assert (part == pixels[top:, left:]).all()
        (scratch,) = folder.iterdir()
        assert scratch.name.startswith(".a.png.")
    assert not list(folder.iterdir())


def test_rows_come_in_bounded_blocks(tmp_path: Path) -> None:
    for height, width in ((3, 200_000), (60_000, 8)):
        with strip_store(tmp_path / "a.png", height, width) as store:
            store.write(0, 0, np.ones((height, width, 3), np.uint8))
            blocks = [rows.nbytes for rows in store.rows()]
        assert sum(blocks) == height * width * 3
        assert max(blocks) <= max(1 << 19, 3 * width)


def test_what_is_missing_or_double_is_our_bug(tmp_path: Path) -> None:
    with strip_store(tmp_path / "a.png", 8, 8) as store:
        store.write(0, 0, np.zeros((4, 8, 3), np.uint8))
        store.write(4, 0, np.zeros((0, 8, 3), np.uint8))  # nothing new is final yet
        with pytest.raises(AssertionError, match="missing"):
            next(store.rows())
        with pytest.raises(AssertionError, match="overlap"):
            store.write(3, 5, np.zeros((2, 2, 3), np.uint8))
        with pytest.raises(AssertionError):
            store.write(7, 0, np.zeros((2, 2, 3), np.uint8))


def test_the_store_is_a_file_of_the_one_writer(tmp_path: Path) -> None:
    """Refused where a file would be; gone after any exception, and after a kill by the next one."""
    (tmp_path / "there.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"), strip_store(tmp_path / "there.png", 2, 2):
        pass
    with pytest.raises(OutputError, match="mkdir"), strip_store(tmp_path / "x" / "a.png", 2, 2):
        pass
    with pytest.raises(KeyboardInterrupt), strip_store(tmp_path / "there.png", 2, 2, force=True):
        raise KeyboardInterrupt
    assert [entry.name for entry in tmp_path.iterdir()] == ["there.png"]
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from nuwa_cli.media.strip_store import strip_store\n"
        "with strip_store(Path(sys.argv[1]), 9, 9): os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], timeout=30)
    assert len(list(tmp_path.iterdir())) == 2
    with strip_store(tmp_path / "a.png", 2, 2):
        assert len(list(tmp_path.iterdir())) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["there.png"]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match=r"1000000x9999999 pixels need 6\d\d\d\d.\d GB"):
        check_space(tmp_path / "a.png", 9_999_999, 1_000_000)
    check_space(tmp_path / "a.png", 10, 10)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nuwa_cli.media.strip_store.os.pwrite", full)
    with (
        pytest.raises(OutputError, match="no space"),
        strip_store(tmp_path / "a.png", 2, 2) as store,
    ):
        store.write(0, 0, np.zeros((2, 2, 3), np.uint8))
    with (
        pytest.raises(OutputError, match=r"journal.*no space"),
        open_journal(tmp_path / "a.png", DIGEST, resume=False),
    ):
        pass


def tokens_of(step: int) -> Any:
    return np.random.default_rng(step).integers(0, 2048, (1 + step % 3, 4), dtype=np.int64)


def write_steps(output: Path, steps: range, *, resume: bool = False) -> None:
    """A run that is cut off after these steps."""
    with (
        pytest.raises(KeyboardInterrupt),
        open_journal(output, DIGEST, resume=resume) as journal,
    ):
        for step in steps:
            journal.append(step, tokens_of(step))
        raise KeyboardInterrupt


def check_steps(journal: Any, count: int) -> None:
    assert sorted(journal) == list(range(count))
    assert all((journal[step] == tokens_of(step)).all() for step in range(count))


def test_a_journal_is_taken_up(tmp_path: Path) -> None:
    output = tmp_path / "a.png"
    write_steps(output, range(3))
    write_steps(output, range(2, 6), resume=True)  # a step that is known is not written again
    assert journal_path(output).name == ".a.png.journal"
    with open_journal(output, DIGEST, resume=True) as journal:
        check_steps(journal, 6)
        journal.finish()
    assert not list(tmp_path.iterdir())


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    output = tmp_path / "a.png"
    write_steps(output, range(3))
    write_steps(output, range(1))
    with open_journal(output, DIGEST, resume=True) as journal:
        check_steps(journal, 1)
    with open_journal(output, bytes(32), resume=False) as journal:
        assert not len(journal)
    assert not list(tmp_path.iterdir())  # nothing was done: nothing is kept


def test_cut_off_or_damaged_anywhere(tmp_path: Path) -> None:
    """Only whole records count, and what follows them is written over."""
    output = tmp_path / "a.png"
    write_steps(output, range(4))
    content = journal_path(output).read_bytes()
    sizes = [16 + 4 * tokens_of(step).size for step in range(4)]
    ends = [40 + sum(sizes[:count]) for count in range(5)]
    assert ends[-1] == len(content)
    for cut in range(len(content)):
        for damaged in (
            content[:cut],
            content[:cut] + bytes([content[cut] ^ 64]) + content[cut + 1 :],
        ):
            if cut < 40 and len(damaged) == len(content):
                continue  # the head: refused, see below
            journal_path(output).write_bytes(damaged)
            count = sum(end <= cut for end in ends[1:])
            with open_journal(output, DIGEST, resume=True) as journal:
                check_steps(journal, count)
                journal.append(count, tokens_of(count))
                check_steps(journal, count + 1)
            with open_journal(output, DIGEST, resume=True) as journal:
                check_steps(journal, count + 1)
                journal.finish()


def test_other_settings_and_other_files_are_refused(tmp_path: Path) -> None:
    output = tmp_path / "a.png"
    write_steps(output, range(2))
    before = journal_path(output).read_bytes()
    with (
        pytest.raises(InputError, match="other settings"),
        open_journal(output, bytes(32), resume=True),
    ):
        pass
    assert journal_path(output).read_bytes() == before
    journal_path(output).write_bytes(b"my diary of the year 2026")
    for resume in (True, False):
        with (
            pytest.raises(InputError, match="is no journal"),
            open_journal(output, DIGEST, resume=resume),
        ):
            pass
    assert journal_path(output).read_bytes() == b"my diary of the year 2026"


def test_two_runs_of_one_output(tmp_path: Path) -> None:
    output = tmp_path / "a.png"
    with open_journal(output, DIGEST, resume=False) as journal:
        journal.append(0, tokens_of(0))
        with (
            pytest.raises(EnvironmentFault, match="another run"),
            open_journal(output, DIGEST, resume=False),
        ):
            pass
        check_steps(journal, 1)


def test_a_long_name_and_a_folder_in_the_way(tmp_path: Path) -> None:
    output = tmp_path / ("x" * 251 + ".png")
    with open_journal(output, DIGEST, resume=False) as journal:
        assert len(os.fsencode(journal.path.name)) <= 255
    journal_path(tmp_path / "b.png").mkdir()
    with (
        pytest.raises(OutputError, match="is a directory"),
        open_journal(tmp_path / "b.png", DIGEST, resume=False),
    ):
        pass


def test_a_kill_at_any_time(tmp_path: Path) -> None:
    """What was appended before the kill is there."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from nuwa_cli.media.step_journal import open_journal\n"
        f"with open_journal(Path(sys.argv[1]), {DIGEST!r}, resume=False) as journal:\n"
        "    journal.append(0, np.full((2, 3), 7))\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], timeout=30)
    with open_journal(tmp_path / "a.png", DIGEST, resume=True) as journal:
        assert list(journal) == [0]
        assert (journal[0] == 7).all()
