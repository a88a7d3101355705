"""What a scene is called, in English and Chinese: many phrasings out of a compact vocabulary.

A caption is a pure function of (spec, seed, kind, language). It tells the truth about the scene
but not all of it: sometimes only the subject, sometimes only the place. Directions belong to
clips; a single picture mentions them rarely. English and Chinese are mixed 60 to 40 unless a
language is given.
"""

from __future__ import annotations

from random import Random

from nuwa_cli.errors import UsageError
from nuwa_cli.storybook.catalog import Action, Place, Subject, load_catalog
from nuwa_cli.storybook.spec import SceneSpec, SubjectSpec

KINDS = ("image", "video")
LANGUAGES = ("en", "zh")

_ENGLISH_SHARE = 0.6
_NOT_JUST_A_PERSON = ("mermaid", "astronaut")

_WAY_EN: dict[str, tuple[str, ...]] = {
    "left": ("to the left", "from right to left", "toward the left"),
    "right": ("to the right", "from left to right", "toward the right"),
    "up": ("up", "upwards"),
    "down": ("down", "downwards"),
    "toward": ("closer", "toward us"),
    "away": ("away", "into the distance"),
}
_WAY_ZH: dict[str, tuple[str, ...]] = {
    "left": ("向左", "往左", "从右向左"),
    "right": ("向右", "往右", "从左向右"),
    "up": ("向上", "往上"),
    "down": ("向下", "往下"),
    "toward": ("向我们", "向前"),
    "away": ("向远处", "往远处"),
}
_SURFACE = {"en": ("to the surface", "up to the surface"), "zh": ("向水面", "向上往水面")}
"""Further ways of saying "up" under water."""
_RISING = ("up", "underwater")
_TIME_EN = {
    "day": ("by day", "on a sunny day"),
    "sunset": ("at sunset", "in the evening"),
    "night": ("at night",),
}
_TIME_ZH = {"day": ("白天", "晴天"), "sunset": ("日落时", "傍晚"), "night": ("晚上", "夜里")}
_WEATHER_EN = {
    "rain": ("in the rain", "while it rains"),
    "snow": ("while it snows", "in falling snow"),
}
_WEATHER_ZH = {"rain": ("下雨时", "在雨中"), "snow": ("下雪时",)}
_CAMERA_EN = {
    "pan_left": ("the camera moves to the left",),
    "pan_right": ("the camera moves to the right",),
    "zoom_in": ("the camera zooms in",),
    "zoom_out": ("the camera zooms out",),
}
_CAMERA_ZH = {
    "pan_left": ("镜头向左移",),
    "pan_right": ("镜头向右移",),
    "zoom_in": ("镜头拉近",),
    "zoom_out": ("镜头拉远",),
}


def _one(random: Random, options: tuple[str, ...]) -> str:
    return options[int(random.random() * len(options))]


def _often_first(random: Random, options: tuple[str, ...]) -> str:
    """The plainest phrase half of the time."""
    return options[0] if random.random() < 0.45 else _one(random, options)


def with_article(noun: str) -> str:
    """`golfer` -> `a golfer`, `eagle` -> `an eagle`."""
    starts_with_vowel = noun[0] in "aeio" or (
        noun.startswith(("um", "un")) and not noun.startswith("uni")
    )
    return f"{'an' if starts_with_vowel else 'a'} {noun}"


def caption(spec: SceneSpec, seed: int, *, kind: str = "image", language: str | None = None) -> str:
    """One caption of a scene; `kind` is "image" or "video", `language` "en", "zh" or None (mixed).

    Raises `UsageError` for another kind or language.
    """
    if kind not in KINDS or language not in (None, *LANGUAGES):
        raise UsageError(
            f"caption '{kind}, {language}': unknown; use {KINDS} and {LANGUAGES} or None"
        )
    random = Random(f"caption:{seed}:{spec.seed}")
    is_english = random.random() < _ENGLISH_SHARE
    if language:
        is_english = language == "en"
    write = _english if is_english else _chinese
    return write(random, spec, kind == "video")


def view_captions() -> tuple[str, ...]:
    """One plain English caption of every core place at every hour that it knows, nobody in it."""
    return tuple(
        view_caption(place, time)
        for place in load_catalog().places.values()
        if place.core
        for time in place.times
    )


def subject_captions() -> tuple[str, ...]:
    """One plain English caption of every core subject in every core place."""
    catalog = load_catalog()
    return tuple(
        f"{with_article(subject.en[0])} {place.en[0]}"
        for subject in catalog.subjects.values()
        if subject.core
        for place in catalog.places.values()
        if place.core
    )


def view_caption(place: Place, time: str) -> str:
    """The plainest English words for a place, nobody in it, at one of its hours."""
    return f"{place.view_en[0]} {_TIME_EN[time][-1]}" if time != "day" else place.view_en[0]


def _partial(random: Random, spec: SceneSpec) -> str:
    """ "place", "subject" or "": what alone a caption tells."""
    if not spec.subjects:
        return "place"
    mark = random.random()
    return "place" if mark < 0.04 else "subject" if mark < 0.12 else ""


def _ways(spec: SubjectSpec, place: Place, language: str) -> tuple[str, ...]:
    """Phrases for the direction of travel."""
    ways = (_WAY_EN if language == "en" else _WAY_ZH)[spec.motion]
    return ways + _SURFACE[language] if (spec.motion, place.medium) == _RISING else ways


# ---- English ----


def _english(random: Random, spec: SceneSpec, is_video: bool) -> str:
    place = load_catalog().places[spec.place]
    partial = _partial(random, spec)
    if partial == "place":
        return _one(random, place.view_en) + _setting_en(random, spec, 0.5)
    where = "" if partial else " " + _often_first(random, place.en)
    if len(spec.subjects) > 1:
        text = " and ".join(with_article(_noun_en(random, s)) for s in spec.subjects)
        first = spec.subjects[0]
        if is_video and first.motion in ("left", "right") and random.random() < 0.8:
            text += f" move {_one(random, _WAY_EN[first.motion])}"
        return text + where + _setting_en(random, spec, 0.6)
    core = _clause_en(random, spec.subjects[0], place, is_video)
    text = core + where + _setting_en(random, spec, 0.6)
    if is_video and spec.camera.kind != "static" and random.random() < 0.3:
        text += ", " + _one(random, _CAMERA_EN[spec.camera.kind])
    return text


def _setting_en(random: Random, spec: SceneSpec, chance: float) -> str:
    text = ""
    is_fixed = len(load_catalog().places[spec.place].times) == 1
    rate = 0.0 if is_fixed else 0.06 if spec.time == "day" else chance
    if random.random() < rate and not (spec.time == "day" and spec.weather != "clear"):
        text += " " + _one(random, _TIME_EN[spec.time])
    if spec.weather != "clear" and random.random() < chance:
        text += " " + _one(random, _WEATHER_EN[spec.weather])
    return text


def _noun_en(random: Random, spec: SubjectSpec, *, names_act: bool = True) -> str:
    """A name of the subject; without `names_act`, none that tells the action ("person playing
    golf").
    """
    names = load_catalog().subjects[spec.id].en
    if not names_act:
        names = tuple(name for name in names if not name.startswith("person ")) or names
    return _often_first(random, names)


def _clause_en(random: Random, spec: SubjectSpec, place: Place, is_video: bool) -> str:
    """Who does what: "a golfer", "a person plays golf", "a red car drives to the left"."""
    catalog = load_catalog()
    subject, action = catalog.subjects[spec.id], catalog.actions[spec.action]
    way = ""
    if spec.motion in _WAY_EN and random.random() < (0.85 if is_video else 0.08):
        way = " " + _one(random, _ways(spec, place, "en"))
    says_act = random.random() < (0.85 if is_video else 0.5) or bool(way)
    noun = with_article(_noun_en(random, spec, names_act=not says_act))
    if not says_act or not action.plain:
        return noun
    form = random.random()
    if _tells_alone(subject, action) and form < 0.45:
        if form < 0.15:
            return f"{action.plain}{way}"
        return f"a person {action.he if form < 0.3 else action.ing}{way}"
    if form < 0.75:
        return f"{noun} {action.he}{way}"
    return f"{noun} {action.ing}{way}"


def _tells_alone(subject: Subject, action: Action) -> bool:
    """True where the action names its person: "a person plays golf" is the golfer."""
    is_plain = subject.is_person and subject.id not in _NOT_JUST_A_PERSON
    return is_plain and action.id in (*subject.idle, subject.travel)


# ---- Chinese ----


def _chinese(random: Random, spec: SceneSpec, is_video: bool) -> str:
    place = load_catalog().places[spec.place]
    partial = _partial(random, spec)
    if partial == "place":
        return _setting_zh(random, spec, 0.5) + _one(random, place.view_zh)
    where = "" if partial else _often_first(random, place.zh)
    setting = _setting_zh(random, spec, 0.6)
    if len(spec.subjects) > 1:
        who = "和".join(_noun_zh(random, s) for s in spec.subjects)
        first = spec.subjects[0]
        way = ""
        if is_video and first.motion in ("left", "right") and random.random() < 0.8:
            way = _one(random, _WAY_ZH[first.motion]) + "移动"
        return setting + who + where + way
    text = setting + _clause_zh(random, spec.subjects[0], place, where, is_video)
    if is_video and spec.camera.kind != "static" and random.random() < 0.3:
        text += "，" + _one(random, _CAMERA_ZH[spec.camera.kind])
    return text


def _setting_zh(random: Random, spec: SceneSpec, chance: float) -> str:
    parts = []
    is_fixed = len(load_catalog().places[spec.place].times) == 1
    rate = 0.0 if is_fixed else 0.06 if spec.time == "day" else chance
    if random.random() < rate and not (spec.time == "day" and spec.weather != "clear"):
        parts.append(_one(random, _TIME_ZH[spec.time]))
    if spec.weather != "clear" and random.random() < chance:
        parts.append(_one(random, _WEATHER_ZH[spec.weather]))
    return "，".join(parts) + ("，" if parts else "")


def _noun_zh(random: Random, spec: SubjectSpec) -> str:
    subject = load_catalog().subjects[spec.id]
    noun = _often_first(random, subject.zh)
    return f"一{subject.measure}{noun}" if random.random() < 0.6 else noun


def _clause_zh(random: Random, spec: SubjectSpec, place: Place, where: str, is_video: bool) -> str:
    """Who does what where: "一匹马在草地上奔跑", "在草地上打高尔夫", "草地上的一匹马"."""
    catalog = load_catalog()
    subject, action = catalog.subjects[spec.id], catalog.actions[spec.action]
    way = ""
    if spec.motion in _WAY_ZH and random.random() < (0.85 if is_video else 0.08):
        way = _one(random, _ways(spec, place, "zh"))
    says_act = random.random() < (0.85 if is_video else 0.5) or bool(way)
    noun = _noun_zh(random, spec)
    form = random.random()
    if not says_act or not action.zh:
        there = where.removeprefix("在")
        return f"{there}的{noun}" if where and form < 0.35 else noun + where
    verb = way + action.zh if way else action.zh_alone
    if _tells_alone(subject, action):
        if form < 0.15:
            return where + verb
        names_act = "的人" in noun or "的女人" in noun
        if action.zh_again and names_act and form < 0.5:
            return f"{noun}{where}{action.zh_again}"
        if form < 0.5 or (names_act and not way):
            noun = "一个人"
    return f"{noun}{where}{verb}"
