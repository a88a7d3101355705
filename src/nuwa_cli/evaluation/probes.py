"""What the model is asked: prompts of scenes that no training ever saw.

A probe is a scene of an unseen seed with one subject and a camera at rest, and a caption of it
that names both subject and place, and for clips the direction of travel too: only what was asked
for can be judged. Held-out probes show pairs of subject (or action) and place that no training
scene has.
"""

from __future__ import annotations

from dataclasses import dataclass

from nuwa_cli.errors import UsageError
from nuwa_cli.model.evaluator import EvaluatorConfig, direction_of
from nuwa_cli.storybook.captions import caption
from nuwa_cli.storybook.catalog import Action, Catalog, load_catalog
from nuwa_cli.storybook.scene import SceneSpec, sample_scene
from nuwa_cli.storybook.world import WorldConfig

_CAPTION_TRIES = 60
_TRAVELS = {
    "left": ("left", "向左", "往左", "从右向左"),
    "right": ("right", "向右", "往右", "从左向右"),
    "up": (" up", "向上", "往上"),
    "down": (" down", "向下", "往下"),
    "toward": ("closer", "toward us", "向我们", "向前"),
    "away": ("away", "into the distance", "远处"),
}


@dataclass(frozen=True)
class Probe:
    """One question: the prompt, the seed to sample with, and the scene that it describes."""

    prompt: str
    seed: int
    spec: SceneSpec

    @property
    def subject(self) -> str:
        """Id of the subject asked for."""
        return self.spec.subjects[0].id

    @property
    def place(self) -> str:
        """Id of the place asked for."""
        return self.spec.place

    @property
    def direction(self) -> str:
        """Direction of travel, by the evaluator's name."""
        return direction_of(self.spec.subjects[0].motion)

    @property
    def language(self) -> str:
        """`zh` or `en`."""
        return "en" if self.prompt.isascii() else "zh"


def known_world(config: EvaluatorConfig, num_frames: int, fps: int) -> WorldConfig:
    """The part of the storybook world that an evaluator can judge: one subject, camera at rest."""
    return WorldConfig(
        subjects=config.subjects,
        places=config.places,
        num_frames=num_frames,
        fps=fps,
        pair_probability=0.0,
        empty_probability=0.0,
        camera_probability=0.0,
    )


def make_probes(
    world: WorldConfig, kind: str, split: str, count: int, first_seed: int = 0
) -> list[Probe]:
    """`count` probes of a kind ("image" or "video") and split ("train" or "held_out") from the
    scenes of `first_seed` on. Clips always travel. Raises UsageError if the world has too few."""
    probes: list[Probe] = []
    for seed in range(first_seed, first_seed + 100 * count + 100):
        if len(probes) == count:
            break
        spec = sample_scene(seed, world, split=split)
        if kind == "video" and spec.subjects[0].motion not in _TRAVELS:
            continue
        prompt = telling_caption(spec, kind)
        if prompt:
            probes.append(Probe(prompt, seed, spec))
    if len(probes) < count:
        raise UsageError(f"probes '{kind}, {split}': only {len(probes)} found; ask for fewer")
    return probes


def telling_caption(spec: SceneSpec, kind: str) -> str:
    """The first caption of a scene that names all that will be judged; empty if there is none."""
    for number in range(_CAPTION_TRIES):
        text = caption(spec, spec.seed + number, kind=kind)
        if names_all(text, spec, kind):
            return text
    return ""


def names_all(text: str, spec: SceneSpec, kind: str) -> bool:
    """True if a caption names subject and place, and for a clip the direction.

    A person may be named by what only that person does: "play golf on the grass".
    """
    catalog = load_catalog()
    first, place = spec.subjects[0], catalog.places[spec.place]
    subject, action = catalog.subjects[first.id], catalog.actions[first.action]
    where = (*place.en, *(name.removeprefix("在") for name in place.zh))
    who: tuple[str, ...] = (*subject.en, *subject.zh)
    if _belongs_to_one(catalog, action):
        who += (action.he, action.plain, action.ing, action.zh)
    ways = _TRAVELS.get(first.motion, ()) if kind == "video" else ("",)
    return all(any(name in text for name in names) for names in (where, who, ways))


def _belongs_to_one(catalog: Catalog, action: Action) -> bool:
    """True if a single subject of the catalog does this."""
    doers = [s for s in catalog.subjects.values() if action.id in (*s.idle, s.travel)]
    return len(doers) == 1
