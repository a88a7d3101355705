"""Compositing, on tiny hand-made sprites and flat landscapes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.sketches.palette import CLASS_ID
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.landscapes import Landscape
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import sample_scene
from nuwa_cli.storybook.spec import Camera, SceneSpec
from nuwa_cli.storybook.sprites import Sprite, SpritePack
from nuwa_cli.storybook.world import WorldConfig

CORE = WorldConfig.core()
SKY, GRASS, WATER = CLASS_ID["sky"], CLASS_ID["grass"], CLASS_ID["water"]
RED = torch.tensor([200, 30, 20])


def _red_square() -> Sprite:
    """Half of the square wide and high, the left half of it darker; two frames."""
    pixels = torch.zeros(2, 4, 32, 32, dtype=torch.uint8)
    pixels[:, :3, 8:24, 8:24] = RED.to(torch.uint8).view(3, 1, 1)
    pixels[:, :3, 8:24, 8:16] //= 2
    pixels[:, 3, 8:24, 8:24] = 255
    return Sprite(pixels, (0.25, 0.25, 0.75, 0.75), 3.0)


def _flat(place: str, seed: int, time: str) -> Landscape:
    """Blue above, green below row 180; at sea the lower part hides what is in it."""
    del seed, time
    pixels = np.zeros((3, 256, 384), np.uint8)
    pixels[2, :180] = 220
    pixels[1, 180:] = 180
    pixels[0] = np.arange(384, dtype=np.uint8)[None, :] % 200 // 4
    classes = np.full((256, 384), SKY, np.uint8)
    classes[180:] = WATER if place == "sea" else GRASS
    front = None
    if place == "sea":
        front = np.zeros((4, 256, 384), np.uint8)
        front[:3] = pixels
        front[3, 190:] = 240
    medium = load_catalog().places[place].medium
    return Landscape(pixels, classes, 0.7, (0.78, 0.78), medium, front, None)


@pytest.fixture
def renderer() -> Renderer:
    return Renderer(SpritePack({s: _red_square() for s in CORE.subjects}), painter=_flat)


def _scene(seed: int = 0, **fixed: str) -> SceneSpec:
    scene = sample_scene(seed, CORE, **fixed)
    return replace(scene, weather="clear", time="day", camera=Camera("static", 0.5, 0.0))


def _center(mask: torch.Tensor) -> tuple[float, float]:
    rows, columns = mask.nonzero(as_tuple=True)
    return columns.float().mean().item() / 256, rows.float().mean().item() / 256


def test_shapes_types_and_exact_labels(renderer: Renderer) -> None:
    scene = _scene(subject="horse", place="grass_hill", motion="still")
    out = renderer.render([scene], frames=[0, 5])
    assert out.pixels.shape == (1, 2, 3, 256, 256)
    assert out.classes.shape == out.subject_mask.shape == (1, 2, 256, 256)
    assert {t.dtype for t in (out.pixels, out.classes, out.subject_mask)} == {torch.uint8}
    inside = out.subject_mask[0, 0].bool()
    assert set(out.classes[0, 0][inside].tolist()) == {CLASS_ID["animal"]}
    assert set(out.classes[0, 0][~inside].tolist()) == {SKY, GRASS}


def test_the_subject_has_its_size_stands_on_the_ground_and_keeps_its_color(
    renderer: Renderer,
) -> None:
    scene = _scene(subject="horse", place="grass_hill", motion="still")
    first = scene.subjects[0]
    out = renderer.render([scene], frames=[0])
    mask = out.subject_mask[0, 0]
    rows = mask.any(1).nonzero()
    height = (rows[-1] - rows[0] + 1).item() / 256
    assert height == pytest.approx(min(first.size, 0.78 - 0.03), abs=0.02)
    assert rows[-1].item() / 256 == pytest.approx(0.78, abs=0.01)
    x, y = _center(mask)
    assert x == pytest.approx(first.start[0], abs=0.01)
    dark_side = -20 if not first.mirrored else 20
    row, column = round(y * 256), round(x * 256)
    pixel = out.pixels[0, 0, :, row, column - dark_side].int()
    assert (pixel - RED).abs().max() <= 1
    assert (out.pixels[0, 0, :, row, column + dark_side].int() - RED // 2).abs().max() <= 1


@pytest.mark.parametrize("way", ["left", "right"])
def test_travel_is_seen(renderer: Renderer, way: str) -> None:
    scene = _scene(subject="horse", place="grass_hill", motion=way)
    out = renderer.render([scene], frames=[0, 9])
    xs = [_center(mask)[0] for mask in out.subject_mask[0]]
    assert abs(xs[1] - xs[0]) > 0.3
    assert (xs[1] > xs[0]) == (way == "right")


def test_a_frame_does_not_depend_on_its_company(renderer: Renderer) -> None:
    scenes = [sample_scene(seed, CORE) for seed in range(6)]
    together = renderer.render(scenes)
    for number, scene in enumerate(scenes):
        alone = renderer.render([scene], frames=[7])
        assert torch.equal(alone.pixels[0, 0], together.pixels[number, 7])
        assert torch.equal(alone.classes[0, 0], together.classes[number, 7])
    own = renderer.render(scenes[:2], frames=[[1], [8]])
    assert torch.equal(own.pixels[1, 0], together.pixels[1, 8])


def test_water_hides_what_is_below_it(renderer: Renderer) -> None:
    scene = _scene(subject="elephant", place="sea", motion="still")
    assert scene.subjects[0].stance == "afloat"
    out = renderer.render([scene], frames=[0])
    assert out.subject_mask[0, 0, :190].any()
    assert not out.subject_mask[0, 0, 190:].any()
    assert set(out.classes[0, 0, 190:].unique().tolist()) == {WATER}


def test_a_shadow_darkens_the_ground_but_has_no_class(renderer: Renderer) -> None:
    scene = _scene(subject="horse", place="grass_hill", motion="still")
    with_subject = renderer.render([scene], frames=[0])
    without = renderer.render([replace(scene, subjects=())], frames=[0])
    ground = with_subject.subject_mask[0, 0, 180:] == 0
    change = without.pixels[0, 0, 1, 180:].int() - with_subject.pixels[0, 0, 1, 180:].int()
    assert change[ground].max() > 15
    assert (with_subject.classes[0, 0, 180:][ground] == GRASS).all()


def test_the_golf_ball_leaves_in_the_direction_the_golfer_faces(renderer: Renderer) -> None:
    scene = _scene(subject="golfer", place="grass_hill")
    out = renderer.render([scene])
    balls = out.classes[0] == CLASS_ID["ball"]
    assert balls[0].any() and balls[8].any()
    (x0, y0), (x8, y8) = _center(balls[0]), _center(balls[8])
    assert y8 < y0 - 0.2
    assert (x8 > x0) == scene.subjects[0].mirrored


def test_cameras_move_the_place(renderer: Renderer) -> None:
    scene = replace(_scene(), subjects=())
    static = renderer.render([scene], frames=[0, 9]).pixels[0]
    assert torch.equal(static[0], static[1])
    pan = replace(scene, camera=Camera("pan_right", 0.0, 0.8))
    # The red channel of the flat landscape tells the column.
    panned = renderer.render([pan], frames=[0, 9]).pixels[0, :, 0, 0, 0].tolist()
    assert panned[1] > panned[0]
    zoom = replace(scene, camera=Camera("zoom_in", 0.5, 0.3))
    zoomed = renderer.render([zoom], frames=[0, 9]).pixels[0]
    assert torch.equal(zoomed[0], static[0])
    assert not torch.equal(zoomed[1], static[1])


@pytest.mark.parametrize("kind", ["rain", "snow"])
def test_weather_falls_and_leaves_the_classes_alone(renderer: Renderer, kind: str) -> None:
    clear = replace(_scene(), subjects=())
    wet = replace(clear, weather=kind)
    dry_out, wet_out = (
        renderer.render([clear], frames=[2, 3]),
        renderer.render([wet], frames=[2, 3]),
    )
    assert not torch.equal(dry_out.pixels, wet_out.pixels)
    assert not torch.equal(wet_out.pixels[0, 0], wet_out.pixels[0, 1])
    assert torch.equal(dry_out.classes, wet_out.classes)


def test_the_cache_is_bounded_and_repainting_changes_nothing() -> None:
    painted: list[tuple[str, int, str]] = []

    def count(place: str, seed: int, time: str) -> Landscape:
        painted.append((place, seed, time))
        return _flat(place, seed, time)

    pack = SpritePack({s: _red_square() for s in CORE.subjects})
    renderer = Renderer(pack, painter=count, cache_size=1)
    a, b = (replace(_scene(), place=place, subjects=()) for place in ("beach", "snow"))
    first = renderer.render([a], frames=[0])
    renderer.render([a, b], frames=[0])
    assert len(painted) == 2
    assert torch.equal(renderer.render([a], frames=[0]).pixels, first.pixels)
    assert len(painted) == 3


def test_misuse_is_refused(renderer: Renderer) -> None:
    scene = _scene()
    for specs, frames in (([scene], [10]), ([scene], []), ([], [0]), ([scene], [[0], [1]])):
        with pytest.raises(UsageError):
            renderer.render(specs, frames=frames)
    with pytest.raises(InputError):
        Renderer(SpritePack({}), painter=_flat).render([_scene(subject="horse")], frames=[0])
