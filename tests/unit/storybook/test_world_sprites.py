"""Building and reading sprite packs, from clips and tarballs made on the spot."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.storybook import sprite_sources, sprites
from nuwa_cli.storybook.catalog import Catalog, load_catalog
from nuwa_cli.storybook.sprite_art import FRAMES, MARGIN, cut_card, make_sprite
from nuwa_cli.storybook.sprites import SpritePack, build_pack, main

SUBJECT = load_catalog().subjects["horse"]
WATER = (68, 158, 253, 255)


def _clip(pictures: list[Image.Image]) -> bytes:
    file = io.BytesIO()
    pictures[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=42,
        lossless=True,
        exact=True,
    )
    return file.getvalue()


def _moving_block(count: int) -> list[Image.Image]:
    """A green 20 x 10 block that goes right by one pixel a frame, on white that is transparent."""
    pictures = []
    for index in range(count):
        array = np.full((64, 64, 4), 255, np.uint8)
        array[..., 3] = 0
        array[30:40, index : index + 20] = (10, 200, 30, 255)
        pictures.append(Image.fromarray(array))
    return pictures


def test_a_clip_is_trimmed_to_its_joint_box_and_resampled() -> None:
    frames, row = make_sprite(_clip(_moving_block(24)), SUBJECT, size=92)
    assert frames.shape == (FRAMES, 4, 92, 92) and frames.dtype == np.uint8
    assert (row["frames"], row["source_frames"], row["seconds"]) == (FRAMES, 24, 1.0)
    left, top, right, bottom = (round(v * 92) for v in row["box"])
    # The joint box is 20 + 22 columns wide (12 of 24 frames: every other) and 10 high.
    assert (left, right) == (MARGIN, 92 - MARGIN)
    assert bottom - top == round(80 * 10 / 42)
    assert frames[:, 3, :top].max() == 0 and frames[:, 3, bottom:].max() == 0
    middles = [np.nonzero(frame[3].max(0) > 128)[0].mean() for frame in frames]
    assert np.all(np.diff(middles) > 2)


def test_colors_are_premultiplied_so_white_does_not_shine_through_the_edge() -> None:
    frames, _ = make_sprite(_clip(_moving_block(24)), SUBJECT, size=92)
    assert (frames[:, :3] <= frames[:, 3:]).all()
    assert frames[:, 0].max() <= 30, "red of the transparent white bled into the green block"


def test_a_still_has_one_frame_and_a_part_of_a_clip_can_be_chosen() -> None:
    frames, row = make_sprite(_clip(_moving_block(1)), SUBJECT, size=92)
    assert frames.shape[0] == row["frames"] == 1
    _, half = make_sprite(_clip(_moving_block(24)), replace(SUBJECT, clip=(0.0, 0.5)), size=92)
    assert half["seconds"] == 0.5


def test_an_invisible_clip_is_refused() -> None:
    with pytest.raises(InputError, match="nothing visible"):
        make_sprite(_clip([Image.new("RGBA", (16, 16))]), SUBJECT)


def test_the_water_card_goes_and_enclosed_blue_stays() -> None:
    frame = np.zeros((64, 64, 4), np.uint8)
    frame[36:60, 2:62] = WATER
    frame[20:44, 16:48] = (230, 90, 40, 255)
    frame[26:32, 28:36] = WATER  # a window
    cut = cut_card(frame, "water")
    assert cut[50, 30, 3] == 0 and cut[50, 4, 3] == 0
    assert tuple(cut[29, 32]) == WATER
    assert tuple(cut[30, 20]) == (230, 90, 40, 255)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one tarball that holds two subjects; the catalog knows only these."""
    catalog = load_catalog()
    few = {key: catalog.subjects[key] for key in ("horse", "house")}
    small = Catalog(few, catalog.actions, catalog.places)
    monkeypatch.setattr(sprites, "load_catalog", lambda: small)
    folder = tmp_path / "packages"
    folder.mkdir()
    path = folder / "art-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for subject, count in ((few["horse"], 12), (few["house"], 1)):
            content = _clip(_moving_block(count))
            info = tarfile.TarInfo(f"package/assets/{subject.emoji}.webp")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    digest = sprite_sources._digest(path)
    row = {"name": "art", "version": "1.0.0", "licence": "MIT", "sha256": digest}
    rows = {"package": [row]}
    monkeypatch.setattr(sprite_sources, "read_data", lambda _: rows)
    return folder


def test_a_pack_is_built_and_read_back(packages: Path, tmp_path: Path) -> None:
    main(["--source", str(packages), "--out", str(tmp_path / "pack")])
    pack = SpritePack.load(tmp_path / "pack")
    assert pack["horse"].pixels.shape == (FRAMES, 4, 160, 160)
    assert pack["house"].pixels.shape == (1, 4, 160, 160)
    assert pack["horse"].pixels.dtype == torch.uint8
    assert pack["horse"].seconds == 0.5
    only = SpritePack.load(tmp_path / "pack", subjects=["house"])
    assert set(only.sprites) == {"house"}
    with pytest.raises(InputError, match="horse"):
        only["horse"]


def test_a_foreign_tarball_is_refused(packages: Path, tmp_path: Path) -> None:
    (packages / "art-1.0.0.tgz").write_bytes(b"something else")
    with pytest.raises(InputError, match="checksum"):
        build_pack(packages, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_without_npm_and_without_tarballs_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match=r"install Node\.js"):
        build_pack(tmp_path / "empty", tmp_path / "pack")


def test_a_missing_or_damaged_pack_is_refused(packages: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make sprites"):
        SpritePack.load(tmp_path / "nowhere")
    folder = build_pack(packages, tmp_path / "pack")
    whole = (folder / "sprites.safetensors").read_bytes()
    (folder / "sprites.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        SpritePack.load(folder)
    (folder / "index.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="other format"):
        SpritePack.load(folder)
