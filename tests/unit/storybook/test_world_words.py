"""Trajectories and captions of the storybook world."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import UsageError
from nuwa_cli.storybook.captions import caption, with_article
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.motion import MOTIONS, ball_flight, pose, swing_angle
from nuwa_cli.storybook.scene import sample_scene
from nuwa_cli.storybook.spec import SceneSpec
from nuwa_cli.storybook.world import WorldConfig

CORE = WorldConfig.core()
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@settings(max_examples=100, deadline=None)
@given(
    motion=st.sampled_from(MOTIONS),
    t=st.floats(0, 1),
    phase=st.floats(0, 1),
    start=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    end=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_x_is_linear_and_nobody_sinks_or_grows_beyond_bounds(
    motion: str,
    t: float,
    phase: float,
    start: tuple[float, float],
    end: tuple[float, float],
) -> None:
    at = pose(motion, t, start, end, phase=phase)
    assert at.x == pytest.approx(start[0] + (end[0] - start[0]) * t)
    assert at.lift >= min(start[1], end[1]) - 1e-9
    assert 0.5 <= at.scale <= 1.0
    assert at.rotation == 0.0


def test_toward_grows_away_shrinks_and_a_ball_turns_with_its_way() -> None:
    here = ((0.5, 0.0), (0.5, 0.0))
    assert pose("toward", 0.0, *here).scale < pose("toward", 1.0, *here).scale
    assert pose("away", 0.0, *here).scale > pose("away", 1.0, *here).scale
    rolling = pose("right", 1.0, (0.2, 0.0), (0.8, 0.0), rolls=True)
    assert rolling.rotation > 90
    assert pose("left", 1.0, (0.8, 0.0), (0.2, 0.0), rolls=True).rotation == -rolling.rotation


def test_the_golfer_swings_back_then_through_and_only_then_the_ball_flies() -> None:
    assert swing_angle(0.0) == 0.0
    assert swing_angle(0.35) > 0 > swing_angle(0.6)
    assert abs(swing_angle(1.0)) < 1e-9
    assert ball_flight(0.3) == (0.0, 0.0)
    ways = [ball_flight(t / 10) for t in range(5, 11)]
    assert ways == sorted(ways) and ways[-1][1] > 0.3


def _scenes(count: int, **fixed: str) -> list[SceneSpec]:
    return [sample_scene(seed, CORE, **fixed) for seed in range(count)]


def test_a_caption_is_a_pure_function_and_seeds_vary_it() -> None:
    scene = sample_scene(1, CORE, subject="golfer", place="grass_hill")
    assert caption(scene, 4) == caption(scene, 4)
    assert len({caption(scene, seed) for seed in range(200)}) > 30


def test_languages_mix_sixty_to_forty_and_do_not_mix_inside_a_caption() -> None:
    scenes = _scenes(800)
    chinese = [bool(CHINESE.search(caption(s, s.seed))) for s in scenes]
    assert 0.33 < sum(chinese) / len(chinese) < 0.47
    for scene in scenes:
        assert not CHINESE.search(caption(scene, 0, kind="video", language="en"))
        assert not re.search(r"[a-z]", caption(scene, 0, kind="video", language="zh"))


def test_captions_are_tidy() -> None:
    for scene in _scenes(600):
        for kind in ("image", "video"):
            text = caption(scene, 9, kind=kind, language="en")
            assert text == text.strip() and "  " not in text and text == text.lower(), text
            assert not re.search(r"\ba [aeio]|\ban [^aeiou]", text), text
            assert caption(scene, 9, kind=kind, language="zh")


def test_directions_belong_to_clips() -> None:
    scenes = [s for s in _scenes(1200) if len(s.subjects) == 1 and _motion(s) in ("left", "right")]
    words = re.compile(r"\b(left|right)\b")
    still = [bool(words.search(caption(s, s.seed, language="en"))) for s in scenes]
    moving = [caption(s, s.seed, kind="video", language="en") for s in scenes]
    moving = [text for text in moving if "camera" not in text]
    assert sum(still) / len(still) < 0.15
    assert sum(bool(words.search(text)) for text in moving) / len(moving) > 0.65


def _motion(scene: SceneSpec) -> str:
    return scene.subjects[0].motion


@pytest.mark.parametrize(("way", "other", "zh"), [("left", "right", "左"), ("right", "left", "右")])
def test_captions_never_name_the_wrong_direction(way: str, other: str, zh: str) -> None:
    allowed = {f"to the {way}", f"toward the {way}", f"from {other} to {way}"}
    for scene in _scenes(300, motion=way, subject="horse"):
        text = caption(scene, 3, kind="video", language="en").split(", the camera")[0]
        found = re.findall(r"(?:from \w+ )?to(?:ward)?(?: the)? (?:left|right)", text)
        assert set(found) <= allowed, text
        chinese = caption(scene, 3, kind="video", language="zh").split("，镜头")[0]
        assert not re.search(f"[向往]{'左右'.replace(zh, '')}", chinese), chinese


def test_the_golfer_is_told_as_the_article_tells_it() -> None:
    told = {
        caption(sample_scene(seed, CORE, subject="golfer", place="grass_hill"), seed)
        for seed in range(3000)
    }
    assert {"play golf on grass", "a person plays golf on the grass"} <= told
    assert "打高尔夫的人在草地上打球" in told


def test_the_hour_is_told_when_it_is_not_day() -> None:
    night = [s for s in _scenes(1500) if s.time == "night" and s.place == "beach"]
    told = [caption(s, s.seed, language="en") for s in night]
    assert len(told) > 5
    assert sum("at night" in text for text in told) / len(told) > 0.3


def test_a_scene_without_subjects_is_its_place() -> None:
    world = replace(CORE, empty_probability=1.0, pair_probability=0.0)
    scene = sample_scene(0, world)
    assert scene.subjects == () and scene.labels["subject"] == -1
    views = load_catalog().places[scene.place].view_en
    assert caption(scene, 0, language="en").startswith(views)


def test_articles() -> None:
    assert with_article("eagle") == "an eagle"
    assert with_article("unicorn") == "a unicorn"
    assert with_article("ufo") == "a ufo"
    assert with_article("horse rider") == "a horse rider"


@pytest.mark.parametrize("wrong", [{"kind": "song"}, {"language": "fr"}])
def test_unknown_kinds_and_languages_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        caption(sample_scene(0, CORE), 0, **wrong)
