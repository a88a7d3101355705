"""The sprite pack: every subject's animation as small RGBA frames in one file.

`build_pack` takes the clips that the catalog names by code point out of the art packages, makes
sprites of them and stores uint8 tensors (frames, 4, S, S) with an index; `SpritePack.load` reads
them. The pack is not part of the repository: `python -m nuwa_cli.storybook.sprites` builds it in
seconds.

Invariant: colours are premultiplied by alpha.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nuwa_cli.errors import InputError, OutputError
from nuwa_cli.storybook.catalog import Subject, load_catalog
from nuwa_cli.storybook.sprite_art import FRAMES, SIZE, make_sprite
from nuwa_cli.storybook.sprite_sources import fetch_packages, read_assets

_FORMAT = 1


@dataclass(frozen=True)
class Sprite:
    """`pixels` uint8 (frames, 4, S, S), premultiplied; `box` = (left, top, right, bottom) of the
    visible part as fractions of the square; `seconds` is the length of the loop.
    """

    pixels: Tensor
    box: tuple[float, float, float, float]
    seconds: float


@dataclass(frozen=True)
class SpritePack:
    """Sprites by subject id."""

    sprites: dict[str, Sprite]

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        device: str | torch.device = "cpu",
        subjects: Collection[str] | None = None,
    ) -> SpritePack:
        """Read a built pack, or only the named subjects of it (1.2 MB each).

        Raises `InputError` if there is no pack, if it is of another format, or damaged.
        """
        folder = Path(folder)
        sprites: dict[str, Sprite] = {}
        try:
            index = json.loads((folder / "index.json").read_text("utf-8"))
            if index.get("format") != _FORMAT:
                raise InputError(
                    f"sprite pack '{folder}': other format; build it with `make sprites`"
                )
            with safe_open(folder / "sprites.safetensors", "pt", device=str(device)) as file:
                for key, row in index["sprites"].items():
                    if subjects is None or key in subjects:
                        left, top, right, bottom = row["box"]
                        box = (left, top, right, bottom)
                        sprites[key] = Sprite(file.get_tensor(key), box, float(row["seconds"]))
        except OSError as error:
            raise InputError(
                f"sprite pack '{folder}': not there; build it with `make sprites`"
            ) from error
        except (SafetensorError, ValueError, KeyError, AttributeError) as error:
            raise InputError(
                f"sprite pack '{folder}': damaged; build it again with `make sprites`"
            ) from error
        return cls(sprites)

    def __getitem__(self, subject: str) -> Sprite:
        """The sprite of a subject; raises `InputError` if the pack was built without it."""
        if subject not in self.sprites:
            raise InputError(
                f"sprite '{subject}': not in the pack; build it again with `make sprites`"
            )
        return self.sprites[subject]


def build_pack(
    source_dir: Path | None,
    out_dir: Path,
    *,
    core_only: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Build the pack of all (or the core) subjects into `out_dir` and give back that folder.

    `source_dir` holds the tarballs, or will (default: `<out_dir>/packages`). Raises
    `EnvironmentFault`, `InputError` or `OutputError`; an existing pack stays whole until the new
    one is complete.
    """
    subjects = [s for s in load_catalog().subjects.values() if s.core or not core_only]
    by_code: dict[str, list[Subject]] = {}
    for subject in subjects:
        by_code.setdefault(subject.emoji, []).append(subject)
    tensors: dict[str, Tensor] = {}
    index: dict[str, Any] = {}
    for archive in fetch_packages(source_dir or out_dir / "packages"):
        say(f"reading {archive.name}")
        for code, content in read_assets(archive, set(by_code)):
            for subject in by_code[code]:
                frames, row = make_sprite(content, subject)
                tensors[subject.id] = torch.from_numpy(frames)
                index[subject.id] = row | {"source": archive.stem, "licence": "MIT"}
    missing = [s.id for s in subjects if s.id not in tensors]
    if missing:
        raise InputError(f"sprites '{', '.join(missing)}': not in the packages; check the catalog")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        record = {"format": _FORMAT, "frames": FRAMES, "size": SIZE, "sprites": index}
        part = out_dir / "sprites.safetensors.part"
        save_file(tensors, part)
        part.replace(out_dir / "sprites.safetensors")
        (out_dir / "index.json").write_text(json.dumps(record, indent=1), "utf-8")
    except OSError as error:
        raise OutputError(
            f"sprite pack '{out_dir}': {error.strerror}; choose another folder"
        ) from error
    megabytes = math.ceil(sum(t.numel() for t in tensors.values()) / 1e6)
    say(f"{len(tensors)} sprites, {megabytes} MB -> {out_dir}")
    return out_dir


def main(arguments: list[str] | None = None) -> None:
    """`python -m nuwa_cli.storybook.sprites [--source DIR] --out DIR [--core]`."""
    parser = argparse.ArgumentParser(description="Build the sprite pack of the storybook world.")
    parser.add_argument(
        "--source", type=Path, help="folder with the package tarballs (fetched if missing)"
    )
    parser.add_argument("--out", type=Path, default=Path("data/sprites"))
    parser.add_argument("--core", action="store_true", help="only the core subjects")
    options = parser.parse_args(arguments)

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    build_pack(options.source, options.out, core_only=options.core, say=say)


if __name__ == "__main__":
    main()
