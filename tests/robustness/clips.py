"""Clips that nobody should send, and odd ones that cameras do send."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

FORMATS = {
    # name: container, codec, options of the container
    "mp4": ("mp4", "mpeg4", {}),
    "webm": ("webm", "libvpx", {}),
    "mov": ("mov", "mpeg4", {"movflags": "frag_keyframe+empty_moov"}),
}


def frames(count: int = 6, height: int = 32, width: int = 48) -> np.ndarray[Any, Any]:
    """Frames that tell their number by their brightness."""
    levels = (np.arange(count) % 10 * 20 + 20).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def predict(name: str | Path, model: Path) -> tuple[str | Path, ...]:
    """The command line that decodes a clip, and draws nothing."""
    words = ("predict", name, "-o", "out.mp4", "--frames", "9", "--dry-run")
    return (*words, "--model", model)


def write(
    path: Path,
    pictures: np.ndarray[Any, Any] | None = None,
    *,
    form: str = "mp4",
    codec: str = "",
    pix_fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    rate: int = 6,
    aspect: Fraction | None = None,
    sound: bool = False,
    context: dict[str, Any] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip; `times` are the time stamps of its frames in units of 1/rate, None leaves none out."""
    container_format, usual, container_options = FORMATS[form]
    pictures = frames() if pictures is None else pictures
    with av.open(str(path), "w", format=container_format, options=container_options) as container:
        stream: Any = container.add_stream(codec or usual, rate=rate, options=options or {})
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = pix_fmt
        if aspect is not None:
            stream.sample_aspect_ratio = aspect
        for name, value in (context or {}).items():
            setattr(stream.codec_context, name, value)
        if sound:
            container.add_stream("aac" if form != "webm" else "libopus", rate=48_000)
        for index, pixels in enumerate(pictures):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = times[index], Fraction(1, rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if sound:
            _add_sound(container)
    return path


def write_sound(path: Path, form: str = "mp4") -> Path:
    """A container without a picture."""
    container_format, _, options = FORMATS[form]
    with av.open(str(path), "w", format=container_format, options=options) as container:
        container.add_stream("aac" if form != "webm" else "libopus", rate=48_000)
        _add_sound(container)
    return path


def _add_sound(container: Any) -> None:
    stream = container.streams.audio[0]
    sound = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "fltp", "mono")
    sound.rate = 48_000
    resampler = av.AudioResampler(
        format=stream.format, layout=stream.layout, rate=stream.rate, frame_size=stream.frame_size
    )
    for frame in [*resampler.resample(sound), *resampler.resample(None)]:
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def turned(path: Path, matrix: tuple[int, int, int, int]) -> bytes:
    """The bytes of an MP4 with another display matrix (a, b, c, d), as phones write it."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 16
    a, b, c, d = (value << 16 for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return bytes(content)


def with_duration(path: Path, seconds: int) -> bytes:
    """The bytes of an MP4 whose header claims to last so long."""
    content = bytearray(path.read_bytes())
    for box, offset in ((b"mvhd", 16), (b"mdhd", 16)):
        place = content.index(box) + 4
        (scale,) = struct.unpack_from(">I", content, place + offset - 4)
        struct.pack_into(">I", content, place + offset, min(seconds * scale, 2**32 - 1))
    return bytes(content)


def with_size(path: Path, width: int, height: int) -> bytes:
    """The bytes of an MP4 whose sample description claims a size."""
    content = bytearray(path.read_bytes())
    place = content.index(b"mp4v", content.index(b"stsd")) + 4 + 24
    struct.pack_into(">HH", content, place, width, height)
    return bytes(content)


def playlists(port: int, other: Path) -> dict[str, bytes]:
    """Texts that lead a demuxer to the network or to another file, under innocent names."""
    url = f"http://127.0.0.1:{port}/x.mp4"
    return {
        "hls.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n".encode(),
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n".encode(),
        "local.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other}\n".encode(),
        "concat.mp4": f"ffconcat version 1.0\nfile {other.name}\n".encode(),
        "concat.webm": f"ffconcat version 1.0\nfile '{other}'\n".encode(),
        "dash.mp4": (
            f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
            f"<BaseURL>{url}</BaseURL><Period><AdaptationSet mimeType='video/mp4'>"
            f"<Representation id='1' bandwidth='1'/></AdaptationSet></Period></MPD>"
        ).encode(),
        "session.sdp": (
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        ).encode(),
        "list.avi": f"[playlist]\nFile1={url}\n".encode(),
        "ism.mov": f'<SmoothStreamingMedia Url="{url}"/>'.encode(),
        "ref.mov": _reference_movie(url),
    }


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _reference_movie(url: str) -> bytes:
    """A QuickTime file that is only a reference to another one."""
    text = url.encode() + b"\0"
    reference = _box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(text)), text)
    return _box(b"ftyp", b"qt  ", bytes(4)) + _box(b"moov", _box(b"rmra", _box(b"rmda", reference)))
