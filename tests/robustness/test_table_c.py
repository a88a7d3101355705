"""Fault table C: clips of strangers, decoded in a child process."""

from __future__ import annotations

import contextlib
import http.server
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import frames, playlists, predict, turned, with_duration, with_size, write, write_sound
from fault_tools import Finished, Run, times

from nuwa_cli.errors import InputError
from nuwa_cli.media.reading import ClipOptions, read_clip, read_clip_here

Refuses = Callable[..., Finished]


def levels(clip: Any) -> list[int]:
    """The numbers of frames of `clips.frames`."""
    return [round((float(f[4:-4, 4:-4].mean()) - 20) / 20) for f in clip.frames]


@pytest.fixture
def canary() -> Iterator[tuple[int, list[str]]]:
    """A web server that notes who asks, and its port."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1], asked
        server.shutdown()
        thread.join()


@pytest.mark.row("C1")
def test_playlists_in_disguise(
    refuses: Refuses, work: Path, model_folder: Path, canary: tuple[int, list[str]]
) -> None:
    """No request is made and no second file is opened, whatever the file is called."""
    port, asked = canary
    other = write(work / "other.mp4")
    files = playlists(port, other)
    assert len(files) >= 9
    for name, content in files.items():
        (work / name).write_bytes(content)
        for read in (read_clip, lambda path: read_clip_here(path, NO_OPTIONS)):
            with pytest.raises(InputError):
                read(work / name)
    (work / "link.mp4").symlink_to("hls.m3u8")
    for name in ("link.mp4", "concat.mp4", "ref.mov"):
        refuses(3, name, *predict(name, model_folder))
    refuses(3, "", *predict("/dev/stdin", model_folder), stdin=files["hls.mp4"])
    assert not asked


NO_OPTIONS: ClipOptions = {"fps": None, "max_frames": None, "start": 0.0, "from_end": False}


@pytest.mark.row("C1")
def test_the_decoder_opens_one_file_and_no_socket(
    work: Path, canary: tuple[int, list[str]]
) -> None:
    """Seen from the system: calls of the decoding process are traced where strace is there, and the
    demuxer's own whitelists are tried on files that pass our look at the first bytes."""
    port, asked = canary
    other = write(work / "other.mp4")
    for name, content in playlists(port, other).items():
        (work / name).write_bytes(content)
    names = sorted(playlists(port, other))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from nuwa_cli.media.probe import open_container\n"
        "from nuwa_cli.errors import InputError\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        with open_container(Path(name)) as (container, stream):\n"
        "            list(container.decode(stream))\n"
        "    except InputError:\n"
        "        print(name)\n"
    )
    words = [sys.executable, "-c", code, *names]
    done = subprocess.run(words, cwd=work, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split("\n")[:-1]) == (0, names), done
    assert not asked


@pytest.mark.row("C2")
def test_no_video_in_it(refuses: Refuses, work: Path, model_folder: Path) -> None:
    write_sound(work / "sound.mp4")
    write_sound(work / "sound.webm", "webm")
    write(work / "whole.mp4")
    content = (work / "whole.mp4").read_bytes()
    start = content.index(b"mdat") + 4
    size = int.from_bytes(content[start - 8 : start - 4], "big") - 8
    (work / "noise.mp4").write_bytes(content[:start] + bytes(size) + content[start + size :])
    (work / "whole.mp4").unlink()
    refuses(3, "has no video frames", *predict("sound.mp4", model_folder))
    refuses(3, "has no video frames", *predict("sound.webm", model_folder))
    refuses(3, "noise.mp4", *predict("noise.mp4", model_folder))


@pytest.mark.row("C3")
@pytest.mark.parametrize(
    ("stamps", "fps", "expected"),
    [
        ([0, 1, 2, 6, 7, 8], 6.0, [0, 1, 2, 2, 2, 2, 3, 4, 5]),  # a pause
        ([10, 11, 12, 13, 14, 15], 6.0, [0, 1, 2, 3, 4, 5]),  # it begins late
        ([0, 2, 4, 6, 8, 10], 6.0, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]),
        ([0, 1, 2, 3, 4, 5], 3.0, [0, 2, 4]),
    ],
)
def test_time_stamps_decide(
    tmp_path: Path, stamps: list[int], fps: float, expected: list[int]
) -> None:
    clip = read_clip(write(tmp_path / "a.mp4", times=stamps), fps=fps)
    shown = levels(clip)
    assert abs(len(shown) - len(expected)) <= 1
    assert shown[: len(expected)] == expected[: len(shown)]


@pytest.mark.row("C3")
def test_reordered_frames(nuwa: Run, work: Path, model_folder: Path) -> None:
    write(work / "b.mp4", frames(10), codec="libx264", options={"bf": "3", "g": "10"})
    assert levels(read_clip(work / "b.mp4")) == [*range(10)]
    done = nuwa(*predict("b.mp4", model_folder))
    assert done.status == 0, done


@pytest.mark.row("C4")
def test_rotated_odd_and_oblong(nuwa: Run, work: Path, model_folder: Path) -> None:
    picture = np.zeros((2, 32, 48, 3), np.uint8)
    picture[:, :16, :24] = (200, 40, 40)
    write(work / "flat.mp4", picture, codec="libx264")
    flat = read_clip(work / "flat.mp4").frames[0].astype(int)
    for matrix, turns in (((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)):
        (work / "turned.mp4").write_bytes(turned(work / "flat.mp4", matrix))
        clip = read_clip(work / "turned.mp4")
        assert np.abs(clip.frames[0] - np.rot90(flat, turns)).max() == 0
        assert clip.notes == ("turned upright by its orientation tag",)
    done = nuwa(*predict("turned.mp4", model_folder))
    assert done.status == 0, done
    assert "turned upright" in done.stderr
    write(work / "oblong.mp4", frames(2), aspect=Fraction(2, 1))
    assert read_clip(work / "oblong.mp4").frames.shape == (2, 32, 96, 3)
    write(work / "odd.webm", frames(2, 63, 65), form="webm")
    assert read_clip(work / "odd.webm").frames.shape == (2, 63, 65, 3)


@pytest.mark.row("C5")
@pytest.mark.parametrize(
    ("pix_fmt", "codec", "form", "context"),
    [
        ("yuv420p", "libx264", "mp4", {}),
        ("yuv444p", "libx264", "mp4", {}),
        ("yuv420p10le", "libx264", "mp4", {}),
        ("yuv422p", "libx264", "mp4", {}),
        ("yuva420p", "libvpx", "webm", {}),
        ("yuvj420p", "libx264", "mp4", {"color_range": 2}),
        ("gray", "libx264", "mp4", {"color_range": 2}),
    ],
)
def test_depths_and_subsampling(
    tmp_path: Path, pix_fmt: str, codec: str, form: str, context: dict[str, Any]
) -> None:
    """Bars of grey, whose value does not depend on the matrix, come back within 2/255."""
    bars = np.zeros((2, 32, 64, 3), np.uint8)
    for index, level in enumerate((30, 90, 150, 210)):
        bars[:, :, index * 16 : index * 16 + 16] = level
    path = tmp_path / f"a.{form}"
    lossless = {"crf": "4"} if codec == "libvpx" else {"qp": "0", "preset": "ultrafast"}
    try:
        write(
            path, bars, form=form, codec=codec, pix_fmt=pix_fmt, context=context, options=lossless
        )
    except (av.FFmpegError, ValueError):
        pytest.skip("this encoder cannot write it")
    shown = read_clip(path).frames[0].astype(int)
    centres = shown[16, 8::16]
    assert np.abs(centres - bars[0, 16, 8::16]).max() <= 2, centres


@pytest.mark.row("C6")
def test_sound_is_dropped(nuwa: Run, work: Path, model_folder: Path) -> None:
    """Our own outputs never have any."""
    write(work / "a.mp4", sound=True)
    with av.open(str(work / "a.mp4")) as container:
        assert len(container.streams.audio) == 1
    assert levels(read_clip(work / "a.mp4")) == [*range(6)]
    words = ("vedit", "a.mp4", "a dog", "--box", "0,0,16,16", "--frames", "2", "-o", "out.mp4")
    done = nuwa(*words, "--model", model_folder)
    assert done.status == 0, done
    with av.open(str(work / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.row("C7")
def test_giant_claims(refuses: Refuses, work: Path, model_folder: Path) -> None:
    write(work / "a.mp4")
    (work / "large.mp4").write_bytes(with_size(work / "a.mp4", 16_000, 16_000))
    (work / "day.mp4").write_bytes(with_duration(work / "a.mp4", 86_400))
    assert levels(read_clip(work / "day.mp4", max_frames=3, from_end=True)) == [3, 4, 5]
    assert read_clip(work / "large.mp4").frames[0].size < 10**6  # what is there decides
    (work / "lie.webm").write_bytes(vp8_of_size(write(work / "b.webm", form="webm"), 16_383))
    refuses(3, "lie.webm", *predict("lie.webm", model_folder))


def vp8_of_size(path: Path, side: int) -> bytes:
    """The bytes of a WebM whose key frames claim a giant picture."""
    sizes = struct.pack("<HH", side, side)
    return re.sub(rb"\x9d\x01\x2a....", b"\x9d\x01\x2a" + sizes, path.read_bytes(), flags=re.S)


@pytest.mark.row("C7")
def test_long_clips_in_flat_memory(work: Path) -> None:
    """Between frame 10 and frame 10,000 the decoder does not grow: both children are measured."""
    count = 10_000
    many = np.broadcast_to(frames(10, 16, 16)[:, None], (10, count // 10, 16, 16, 3))
    write(work / "long.mp4", many.reshape(count, 16, 16, 3))
    write(work / "short.mp4", frames(10, 16, 16))
    code = (
        "import json, os, sys\nfrom pathlib import Path\n"
        "from nuwa_cli.media.reading import ClipOptions, ClipReader\n"
        "options = ClipOptions(fps=None, max_frames=None, start=0.0, from_end=False)\n"
        "count = sum(1 for _ in ClipReader(Path(sys.argv[1]), options).frames())\n"
        "peak = next(l for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "print(count, peak.split()[1])\n"
    )
    peaks = []
    for name, expected in (("short.mp4", 10), ("long.mp4", count)):
        done = subprocess.run([sys.executable, "-c", code, work / name], capture_output=True)
        found, peak = map(int, done.stdout.split())
        assert found == expected, done
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 50 << 10
    with pytest.raises(InputError, match="too long"):
        read_clip_here(write_wide(work / "wide.mp4"), NO_OPTIONS)


def write_wide(path: Path) -> Path:
    """Sixty-odd frames of full HD: more than is held."""
    return write(path, np.broadcast_to(np.uint8(90), (63, 1080, 1920, 3)), codec="mpeg4")


@pytest.mark.row("C7")
def test_a_size_that_changes_midway(tmp_path: Path) -> None:
    """Scaled to the first frame; nothing is read beyond a frame's memory."""
    with av.open(str(tmp_path / "a.mkv"), "w", format="matroska") as container:
        streams: list[Any] = []
        for side in (32, 64):
            encoder: Any = av.CodecContext.create("mpeg4", "w")
            encoder.width = encoder.height = side
            encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 6)
            streams.append(encoder)
        stream: Any = container.add_stream("mpeg4", rate=6)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for index in range(4):
            side = 32 if index < 2 else 64
            picture = av.VideoFrame.from_ndarray(frames(1, side, side)[0], format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 6)
            encoder = streams[index // 2]
            for packet in encoder.encode(picture.reformat(format="yuv420p")):
                packet.stream = stream
                packet.time_base = Fraction(1, 6)
                container.mux(packet)
    try:
        clip = read_clip(tmp_path / "a.mkv")
    except InputError:
        return
    assert clip.frames.shape[1:] == (32, 32, 3)


@pytest.mark.row("C8")
def test_cut_clips(refuses: Refuses, work: Path, model_folder: Path) -> None:
    """5,000 mutations a container: test_fuzzing.py."""
    steps = times(12, 40, 300)
    for form in ("mp4", "webm", "mov"):
        whole = write(work / f"whole.{form}", form=form).read_bytes()
        (work / f"whole.{form}").unlink()
        path = work / f"cut.{form}"
        for step in range(steps):
            path.write_bytes(whole[: 1 + len(whole) * step // steps])
            started = time.process_time()
            with contextlib.suppress(InputError):
                assert len(read_clip_here(path, NO_OPTIONS).frames) <= 6
            assert time.process_time() - started < 5
    (work / "head.mp4").write_bytes(write(work / "cut.mp4").read_bytes()[:200])
    refuses(3, "head.mp4", *predict("head.mp4", model_folder))
