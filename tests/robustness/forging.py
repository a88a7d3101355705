"""Model folders with a forged file: the manifest agrees with it, as that of an attacker would."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

WEIGHTS = "transformer.safetensors"


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and make the manifest agree with it."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change_config(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the config document in place, or by what `change` returns, and re-seal it."""
    document = json.loads((folder / "config.json").read_text())
    changed = change(document)
    rewrite(folder, "config.json", json.dumps(document if changed is None else changed).encode())


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header: dict[str, Any] | bytes, data: bytes) -> bytes:
    """A safetensors file of a header and data."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def change_header(
    folder: Path, change: Callable[[dict[str, Any]], Any], name: str = WEIGHTS
) -> None:
    """Change the header of a weights file in place and re-seal it."""
    header, data = header_of((folder / name).read_bytes())
    change(header)
    rewrite(folder, name, with_header(header, data))
