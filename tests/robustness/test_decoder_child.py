"""Fault table C9: the child that decodes foreign clips crashes, hangs, talks nonsense."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import frames, predict, write
from fault_tools import Finished, times

from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.media import child
from nuwa_cli.media.reading import read_clip

Refuses = Callable[..., Finished]


@pytest.fixture
def broken_decoder(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """The environment in which the decoding process, and no other, does something evil."""

    def environment(what: str) -> dict[str, str]:
        folder = tmp_path / "evil"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(
            "import sys\n"
            "if 'nuwa_cli.media.foreign' in sys.orig_argv:\n"
            "    import os, signal, time\n"
            "    from nuwa_cli.media import probe\n"
            "    def evil(*_):\n"
            f"        {what}\n"
            "    probe.open_container = evil\n"
        )
        return {"PYTHONPATH": str(folder)}

    return environment


@pytest.mark.row("C9")
@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT", "SIGBUS"])
def test_a_decoder_that_crashes(
    refuses: Refuses, work: Path, model_folder: Path, broken_decoder: Any, name: str
) -> None:
    write(work / "a.mp4")
    environment = broken_decoder(f"os.kill(os.getpid(), signal.{name})")
    why = f"the decoder crashed ({name}); re-encode"
    refuses(3, why, *predict("a.mp4", model_folder), env=environment)
    if name == "SIGSEGV":
        refuses(3, why, "info", "a.mp4", env=environment)


@pytest.mark.row("C9")
@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("os._exit(0)", "crashed (status 0)"),
        ("os.write(1, b'x' * 100); os.closerange(3, 30)", "a.mp4"),
        ("raise ValueError('x' * 10_000)", "a.mp4"),
        ("bytearray(1 << 40)", "to decode, which is much for its size"),
    ],
)
def test_a_decoder_that_ends_oddly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken_decoder: Any, what: str, why: str
) -> None:
    write(tmp_path / "a.mp4")
    monkeypatch.setenv("PYTHONPATH", broken_decoder(what)["PYTHONPATH"])
    with pytest.raises(InputError) as caught:
        read_clip(tmp_path / "a.mp4")
    assert why in str(caught.value)


@pytest.mark.row("C9")
@pytest.mark.parametrize(
    "what", ["time.sleep(1000)", "os.kill(os.getpid(), signal.SIGSTOP)", "\n        while 1: pass"]
)
def test_a_decoder_that_hangs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken_decoder: Any, what: str
) -> None:
    write(tmp_path / "a.mp4")
    monkeypatch.setattr(child, "SILENCE", times(1, 2, 10))
    monkeypatch.setenv("PYTHONPATH", broken_decoder(what)["PYTHONPATH"])
    started = time.monotonic()
    with pytest.raises(InputError, match="stands still"):
        read_clip(tmp_path / "a.mp4")
    assert time.monotonic() - started < 30
    found = subprocess.run(["pgrep", "-f", f"nuwa_cli.media.foreign.*{tmp_path}"], check=False)
    assert found.returncode == 1 or os.name != "posix"


@pytest.mark.row("C9")
@pytest.mark.parametrize(
    "said", [b"", b"F\xff\xff\xff\xff", b"Jxxxx", b"X\0\0\0\0", b"J\2\0\0\0{}"[:6], b"J\2\0\0\0[]"]
)
def test_nonsense_from_the_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: bytes
) -> None:
    """Whatever comes through the pipe, the parent keeps its head and its memory."""
    write(tmp_path / "a.mp4")
    popen = subprocess.Popen
    code = f"import os; os.write(1, {said!r})"
    monkeypatch.setattr(
        child.subprocess, "Popen", lambda _, **o: popen([sys.executable, "-S", "-c", code], **o)
    )
    with pytest.raises((InputError, EnvironmentFault)):
        read_clip(tmp_path / "a.mp4")


@pytest.mark.row("C9")
def test_the_child_is_limited_and_ends_with_its_parent(tmp_path: Path) -> None:
    """A parent that is killed leaves no decoder behind: its pipe is closed."""
    write(tmp_path / "long.mp4", np.broadcast_to(frames(1, 240, 320), (200, 240, 320, 3)))
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from nuwa_cli.media import child\n"
        "child._listen = lambda *_: (print(_[1].pid, flush=True), time.sleep(60))\n"
        "options = dict(fps=None, max_frames=None, start=0.0, from_end=False)\n"
        "child.ask(Path(sys.argv[1]), {'ask': 'clip', 'options': options}, max_pixels=10**9)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "long.mp4"], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        limits = Path(f"/proc/{pid}/limits").read_text()
        deadline = time.monotonic() + 20
        while "Max file size             0" not in limits and time.monotonic() < deadline:
            time.sleep(0.05)
            limits = Path(f"/proc/{pid}/limits").read_text()
        assert "Max file size             0" in limits
        assert "Max open files            32" in limits
        parent.send_signal(signal.SIGKILL)
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline + 20:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}/exe").exists()
