"""The gallery as one HTML file: pictures and clips are inside as data URIs, clips loop silently."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from string import Template

from panels import Figure, Panel
from PIL import Image

_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".mp4": "video/mp4"}
_FRAME_MS = 167  # of a clip that has no file of its own: 6 frames a second


def page(figures: list[Figure], heading: str, below: str) -> str:
    """The finished page."""
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    sections = "\n".join(_section(figure) for figure in figures)
    return Template(template).substitute(
        heading=escape(heading), below=escape(below), sections=sections
    )


def _section(figure: Figure) -> str:
    panels = [panel for row in figure.rows for panel in row]
    wide = ' class="wide"' if sum(panel.span for panel in panels) > 4 else ""
    prompt = f"<q>{escape(figure.prompt)}</q>" if figure.prompt else ""
    shown = "\n".join(map(_panel, panels))
    commands = escape("\n".join(command.text for command in figure.commands))
    return (
        f"<section{wide}>\n<h2><b>{figure.task}</b>{escape(figure.title)}{prompt}</h2>\n"
        f'<div class="row">\n{shown}\n</div>\n<pre>{commands}</pre>\n</section>'
    )


def _panel(panel: Panel) -> str:
    words = escape(panel.label or panel.file)
    source, is_video = _source(panel)
    if is_video:
        shown = f'<video src="{source}" autoplay loop muted playsinline title="{words}"></video>'
    else:
        shown = f'<img src="{source}" alt="{words}">'
    caption = f"<figcaption>{escape(panel.label)}</figcaption>" if panel.label else ""
    style = (
        f' style="flex-grow: {panel.span}; max-width: {16 * panel.span}rem"'
        if panel.span > 1
        else ""
    )
    return f"<figure{style}>{shown}{caption}</figure>"


def _source(panel: Panel) -> tuple[str, bool]:
    """A data URI, and whether it is a video file: the file itself unless its pixels are marked."""
    if not panel.sketches and not panel.hole:
        mime = _MIME[panel.path.suffix]
        return _uri(mime, panel.path.read_bytes()), mime.startswith("video")
    frames = [Image.fromarray(frame) for frame in panel.pixels]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        "WEBP",
        lossless=True,
        save_all=True,
        append_images=frames[1:],
        duration=_FRAME_MS,
        loop=0,
    )
    return _uri("image/webp", buffer.getvalue()), False


def _uri(mime: str, content: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
