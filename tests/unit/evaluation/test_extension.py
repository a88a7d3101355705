"""Seam scores, extensions in four directions, and what goes on and on, with artists of known skill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.artists import Extended, Frames, PipelineArtist
from nuwa_cli.evaluation.extension import DIRECTIONS, drawn_block
from nuwa_cli.evaluation.long import blocks_of, place_probabilities
from nuwa_cli.evaluation.report import markdown_table
from nuwa_cli.evaluation.seams import mean_ratio, seam_score, seam_table
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.evaluation.suite import evaluate
from nuwa_cli.model.evaluator import DIRECTIONS as TRAVELS
from nuwa_cli.model.evaluator import EvaluatorConfig, FrameOutput, Judgement
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.storybook.world import WorldConfig

CORE = WorldConfig.core()
CONFIG = EvaluatorConfig(
    subjects=CORE.subjects, places=CORE.places, directions=TRAVELS, image_size=8
)
HILL = CORE.places.index("grass_hill")
SIZE = 32
NONE = EvaluationSettings(completions=0, extensions=0, long_pictures=0, long_clips=0)
EXTEND = replace(NONE, extensions=6, only=("extend",))
LONG = replace(NONE, long_pictures=2, long_clips=3, only=("long",))


class ColourJudge:
    """Green is the place, red the subject: means over the picture, rounded."""

    config = CONFIG

    def judge_images(self, images: Tensor) -> Judgement:
        features = images.float().mean((2, 3))
        code = features.round().long()
        return Judgement(
            code[:, 0] % len(CORE.subjects), code[:, 1] % len(self.config.places), None, features
        )

    class frame_net:
        place = SimpleNamespace(weight=torch.zeros(1))

        def __new__(cls, pixels: Tensor) -> Any:
            seen = pixels.mean((2, 3)).add(1).mul(127.5).round().long()[:, 1]
            logits = 20.0 * torch.nn.functional.one_hot(seen, 256)[:, : len(CORE.places)]
            return FrameOutput(logits, logits, seen[:, None].float())


class PlainRenderer:
    """A picture in the colour of its place and subject; blue rises from corner to corner."""

    def render(self, specs: list[SceneSpec], frames: Any = None) -> SimpleNamespace:
        [spec] = specs
        length = spec.num_frames if frames is None else len(frames)
        slope = torch.arange(SIZE, dtype=torch.uint8)
        pixels = torch.zeros((1, length, 3, SIZE, SIZE), dtype=torch.uint8)
        pixels[:, :, 0] = CORE.subjects.index(spec.subjects[0].id) if spec.subjects else 0
        pixels[:, :, 1] = CORE.places.index(spec.place)
        pixels[:, :, 2] = 2 * (slope + slope[:, None]) + spec.landscape_seed % 7
        mask = torch.zeros((1, length, SIZE, SIZE), dtype=torch.uint8)
        return SimpleNamespace(pixels=pixels, classes=mask, subject_mask=mask)


class Artist:
    """Goes on with the lines at the edge of a picture; `spoils` changes what was added."""

    fingerprint = {"model": {"name": "fake"}}  # noqa: RUF012

    def __init__(self, spoils: Any = lambda block, _direction: block) -> None:
        self.spoils = spoils
        self.frames_made = 0

    def extend(self, picture: Frames, direction: str, pixels: int, seed: int) -> Extended:
        assert seed >= 0
        before = {"left": (0, 1), "up": (1, 0)}.get(direction)
        axis = 1 if direction in ("right", "left") else 0
        widths = [(0, 0)] * 3
        widths[axis] = (pixels, 0) if before else (0, pixels)
        whole = np.pad(picture, widths, mode="edge")
        origin = tuple(pixels if before and axis == other else 0 for other in (0, 1))
        block = drawn_block(Extended(whole, (0, 0), (), ()), direction, len(picture))
        if pixels == len(picture):
            block[:] = self.spoils(block.copy(), direction)
        length = whole.shape[axis]
        places = tuple(range(SIZE // 2, length, SIZE // 2)) if axis else ()
        rows = () if axis else tuple(range(SIZE // 2, length, SIZE // 2))
        return Extended(whole, (origin[0], origin[1]), places, rows)

    def draw(self, kind: str, prompt: str, seed: int) -> Frames:
        assert kind == "video" and seed >= 0
        self.prompts = [*getattr(self, "prompts", []), prompt]
        return np.zeros((10, SIZE, SIZE, 3), dtype=np.uint8)

    def lengthen(self, frames: Frames, num_frames: int, prompt: str, seed: int) -> Iterator[Frames]:
        assert len(frames) == 10 and prompt and seed >= 0
        for number in range(1, num_frames + 1):
            self.frames_made += 1
            yield np.full((SIZE, SIZE, 3), number % 251, dtype=np.uint8)


def run(artist: Artist, chosen: EvaluationSettings, **more: Any) -> Any:
    return evaluate(
        artist,  # type: ignore[arg-type]
        ColourJudge(),  # type: ignore[arg-type]
        chosen,
        num_frames=10,
        fps=6,
        renderer=PlainRenderer(),  # type: ignore[arg-type]
        **more,
    )


def noise(height: int = 64, width: int = 256, seed: int = 0) -> Frames:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_noise_has_no_seams(seed: int) -> None:
    assert seam_score(noise(seed=seed), (64, 128, 192), (32,)) == pytest.approx(1.0, abs=0.1)


def test_slopes_have_no_seams_and_steps_do() -> None:
    slope = np.add.outer(np.arange(128), np.arange(256))[..., None].repeat(3, -1) // 2
    smooth = slope.astype(np.uint8)
    assert seam_score(smooth, (64, 128), (64,)) == pytest.approx(1.0, abs=1e-6)
    for axis, columns, rows in ((1, (64, 128), ()), (0, (), (64,))):
        stepped = smooth.copy()
        stepped[(slice(None),) * axis + (slice(64, None),)] += 4
        assert seam_score(stepped, columns, rows) > 1.3
        [worst, *_] = seam_table(stepped, columns, rows)
        assert worst.at == 64 and worst.axis == ("column" if axis else "row")
        assert seam_score(stepped, (128,), (32,)) == pytest.approx(1.0, abs=0.02)
    blurred = noise()
    blurred[:, 128] = blurred[:, 127]
    assert seam_score(blurred, (128,)) < 0.5


def test_a_grid_of_cells_is_no_seam_but_a_step_on_it_is() -> None:
    """Every 16 pixels a line shows: against all lines any border does, against its like none."""
    picture = noise().astype(np.int16) // 8 + 100
    picture[:, ::32] += 40
    picture = picture.clip(0, 255).astype(np.uint8)
    assert seam_score(picture, (128,)) > 1.3
    assert seam_score(picture, (128,), cell=32) == pytest.approx(1.0, abs=0.1)


def test_a_tree_on_a_border_is_no_seam() -> None:
    picture = noise() // 32  # faint texture
    picture[10:16, 128:132] = 250  # a trunk whose bark begins at the border
    assert seam_score(picture, (128,)) < 1.15
    stepped = noise() // 32
    stepped[:, 128:] += 6  # faint, but all along
    assert seam_score(stepped, (128,)) > 1.3


def test_borders_that_are_none_are_refused() -> None:
    for columns, rows in (((0,), ()), ((256,), ()), ((), (64,))):
        with pytest.raises(UsageError, match="not inside"):
            seam_table(noise(), columns, rows)
    with pytest.raises(UsageError, match="no border"):
        seam_score(noise(), ())
    assert mean_ratio([0.5, 2.0]) == pytest.approx(1.0)


def test_an_artist_that_goes_on_well_has_no_seams_in_any_direction() -> None:
    seen: list[tuple[int, int]] = []
    report, samples = run(Artist(), EXTEND, on_progress=lambda *x: seen.append(x))
    assert seen[-1] == (4 * 6,) * 2 and len(samples) == 4 * 6
    found = report["extension"]
    for direction in DIRECTIONS:
        figures = found[direction]
        assert figures["samples"] == 6
        assert figures["place"] == figures["given_identical"] == 1.0
        assert figures["seam"] <= 1.0 and figures["renders"]["seam"] == pytest.approx(1, abs=0.1)
        low, high = figures["seam_interval"]
        assert low <= figures["seam"] <= high
        assert figures["block_fid"] > 0 < figures["above_truth"]
    assert set(found["against_right"]) == {"left", "down", "up"}
    assert found["against_right"]["left"]["seam"] == pytest.approx(1.0, abs=0.2)


def test_steps_and_drift_in_one_direction_are_found_there() -> None:
    def spoils(block: Frames, direction: str) -> Frames:
        if direction == "left":
            block += 60  # another colour
        if direction == "up":
            block[: SIZE // 2] += 9  # a step inside what was drawn
        return block

    fine, _ = run(Artist(), EXTEND)
    report, _ = run(Artist(spoils), EXTEND)
    was, found = fine["extension"], report["extension"]
    assert found["right"] == was["right"] and found["down"] == was["down"]
    assert found["left"]["edge"] > 2 > was["left"]["edge"] and found["left"]["place"] < 1
    assert found["left"]["block_fid"] > was["left"]["block_fid"] + 1000
    assert found["up"]["seam"] > 1.3 > was["up"]["seam"]
    assert found["up"]["edge"] < 1
    assert found["against_right"]["left"]["block_fid"] > 5


def test_windows_have_true_neighbours() -> None:
    """The truth, put together by itself, is the large picture: blue rises evenly across its edge."""
    report, samples = run(Artist(), EXTEND)
    assert {s.set_name for s in samples} == {f"extend_{d}" for d in DIRECTIONS}
    for direction in DIRECTIONS:
        assert report["extension"][direction]["renders"]["edge"] == pytest.approx(1, abs=0.15)


def test_long_pictures_are_followed_block_by_block() -> None:
    report, samples = run(Artist(), LONG)
    picture = report["long"]["picture"]
    assert picture["samples"] == 2 and len(picture["place_by_block"]) == 16
    assert min(picture["place_by_block"]) > 0.99
    assert list(picture["borders"]) == [str(at) for at in range(16, 512, 16)]
    assert 0.5 < picture["seam"] <= picture["worst"]
    assert len(picture["block_fid_by_quarter"]) == 4 and picture["block_fid_of_truth"] >= 0
    [*_, shown] = [s for s in samples if s.set_name == "long_picture"]
    assert "worst at" in shown.asked and all(shown.verdicts)


def test_drift_shows_where_it_begins() -> None:
    class Drifting(Artist):
        def extend(self, picture: Frames, direction: str, pixels: int, seed: int) -> Extended:
            extended = super().extend(picture, direction, pixels, seed)
            extended.picture[:, 8 * SIZE :, 1] += 1  # the next place
            extended.picture[:, 8 * SIZE :, 2] += 90
            return extended

    report, _ = run(Drifting(), LONG)
    picture = report["long"]["picture"]
    shares = picture["place_by_block"]
    assert min(shares[:8]) > 0.99 and max(shares[8:]) < 0.01
    first, *_, last = picture["block_fid_by_quarter"]
    assert last > first + 1000
    assert max(picture["borders"], key=lambda at: picture["borders"][at]) == str(8 * SIZE)


def test_long_clips_are_judged_at_three_frames_and_never_held() -> None:
    artist = Artist()
    report, samples = run(artist, LONG)
    assert artist.frames_made == 3 * 200 and len(artist.prompts) == 3
    clip = report["long"]["clip"]
    names = [f"{what}_{number}" for number in (50, 100, 200) for what in ("subject", "place")]
    assert set(names) <= set(clip) and clip["place_50"] == clip["subject_200"] == 0.0
    assert all(clip["renders"][name] == 1.0 for name in names)
    assert [len(s.verdicts) for s in samples if s.set_name == "long_clip"] == [6] * 3


def test_a_judge_of_other_places_leaves_hills_out() -> None:
    class Indoors(ColourJudge):
        config = replace(CONFIG, places=("beach", "room"))

    report, samples = evaluate(
        Artist(),  # type: ignore[arg-type]
        Indoors(),  # type: ignore[arg-type]
        LONG,
        num_frames=10,
        fps=6,
        renderer=PlainRenderer(),  # type: ignore[arg-type]
    )
    assert set(report["long"]) == {"clip"} and len(samples) == 3


def test_tables_show_directions_and_the_long_way() -> None:
    report, _ = run(
        Artist(), replace(EXTEND, long_pictures=2, long_clips=2, only=("extend", "long"))
    )
    text = markdown_table(report)
    for row in ("| right | 6 |", "| up | 6 |", "| a hill | 2 |", "| clips | 2 |"):
        assert row in text
    assert (
        "As multiples of right: left: seam" in text
        and "intervals of the seam" in text
        and "Block-FID of the four quarters" in text
    )
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert all(len({line.count("|") for line in t.splitlines()}) == 1 for t in tables)


def test_blocks_and_probabilities() -> None:
    wide = np.zeros((8, 32, 3), dtype=np.uint8)
    wide[:, 16:, 1] = HILL
    assert blocks_of(wide, 8).shape == (4, 8, 8, 3) and len(blocks_of(wide, 4)) == 7
    shares = place_probabilities(ColourJudge(), blocks_of(wide, 8), "grass_hill")  # type: ignore[arg-type]
    expected = [1.0 if HILL == 0 else 0.0] * 2 + [1.0] * 2
    assert shares == pytest.approx(expected, abs=1e-4)


def test_the_artist_puts_pieces_together() -> None:
    class Pipeline:
        model = SimpleNamespace(
            config=SimpleNamespace(tokenizer=SimpleNamespace(downsample_factor=2))
        )

        def start_extension(self, picture: Frames, margins: Any, **options: Any) -> Any:
            assert (margins.top, margins.left, margins.right, margins.bottom) == (4, 0, 0, 0)
            assert options == {"seed": 5, "temperature": 0.5}
            new = np.full((4, 8, 3), 9, dtype=np.uint8)
            pieces = [
                SimpleNamespace(top=4, left=0, pixels=picture),
                SimpleNamespace(top=0, left=0, pixels=new),
            ]
            return SimpleNamespace(
                height=12, width=8, origin=(4, 0), joints=((), (4,)), pieces=lambda: iter(pieces)
            )

    artist = PipelineArtist(
        Pipeline(),  # type: ignore[arg-type]
        replace(NONE, sampling={"temperature": 0.5}),
    )
    extended = artist.extend(np.full((8, 8, 3), 3, dtype=np.uint8), "up", 4, 5)
    assert (extended.picture[:4] == 9).all() and (extended.picture[4:] == 3).all()
    assert extended.rows == (4,) and extended.origin == (4, 0) and extended.cell == 2
    assert (drawn_block(extended, "up", 4) == 9).all()
