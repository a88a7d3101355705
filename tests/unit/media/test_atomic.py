"""The one writer: complete or absent, whatever happens."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nuwa_cli.errors import NuwaError, OutputError
from nuwa_cli.media.atomic import atomic_write, check_output, write_bytes


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.name != "user"}


def test_new_file(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"content")
    assert (tmp_path / "a.bin").read_bytes() == b"content"
    assert names(tmp_path) == {"a.bin"}


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


def test_replacing_needs_force_and_keeps_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    path.chmod(0o640)
    with pytest.raises(OutputError, match="exists; give --force"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("force", [False, True])
def test_failure_leaves_everything_as_it_was(tmp_path: Path, force: bool) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"old")
    path = old if force else tmp_path / "new"
    with pytest.raises(RuntimeError), atomic_write(path, force=force) as pending:
        pending.file.write(b"half")
        raise RuntimeError("stop")
    assert names(tmp_path) == {"old"}
    assert old.read_bytes() == b"old"


def test_loser_of_a_race_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(OutputError, match="another process"), atomic_write(path) as pending:
        pending.file.write(b"mine")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == {"a"}


def test_works_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_bytes(tmp_path / "a", b"content")
    assert names(tmp_path) == {"a"}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/a.png", "its folder does not exist; create it with: mkdir -p"),
        ("file/a.png", "not a directory"),
        ("folder", "is a folder"),
        ("dangling", "is not a regular file"),
        ("x" * 300, "file name too long"),
        ("nul\0byte", "null byte"),
    ],
)
def test_impossible_names(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for force in (False, True):
        with pytest.raises(OutputError, match=why):
            check_output(tmp_path / name, force=force)


def test_device_is_no_output() -> None:
    with pytest.raises(OutputError, match="regular file"):
        check_output(Path("/dev/null"), force=True)


def test_link_is_kept_and_its_target_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_bytes(link, b"new", force=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    check_output(tmp_path / "a", force=False)
    assert names(tmp_path) == set()


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files of at most 4 KiB, as on a full disk; the signal that comes with it is ignored."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="file too large") as caught:
        write_bytes(tmp_path / "a", bytes(10_000))
    assert caught.value.exit_code == 4
    assert names(tmp_path) == set()


@pytest.mark.usefixtures("small_files")
def test_full_disk_while_encoding(tmp_path: Path) -> None:
    import numpy as np

    from nuwa_cli.media.video import write_video

    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    for suffix in ("mp4", "webm", "gif", "webp", "apng"):
        with pytest.raises(OutputError):
            write_video(tmp_path / f"a.{suffix}", noise, 6)
    assert names(tmp_path) == set()


def test_killed_writers_leave_no_torn_file_and_orphans_are_removed(tmp_path: Path) -> None:
    """kill -9 at random moments of an endless writer: the file is always whole."""
    path = tmp_path / "a"
    code = (
        "import sys; from pathlib import Path; from nuwa_cli.media.atomic import write_bytes\n"
        "for n in range(10**9): write_bytes(Path(sys.argv[1]), bytes([n % 256]) * 50_000, "
        "force=True)\n"
    )
    for round_number in range(4):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.02 + 0.013 * round_number)
        writer.kill()
        writer.wait()
        content = path.read_bytes()
        assert len(content) == 50_000
        assert len(set(content)) == 1
    (tmp_path / ".a.dead.tmp").write_bytes(b"orphan")
    write_bytes(path, b"end", force=True)
    assert names(tmp_path) == {"a"}


def test_orphan_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_write(path, force=True) as first:
        with atomic_write(path, force=True) as second:
            assert first.path.exists()
            second.file.write(b"second")
        first.file.write(b"first")
    assert path.read_bytes() == b"first"


def test_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(NuwaError):
        write_bytes(tmp_path, b"")
