"""What is learned from runs: kept apart, moved half way, and never in the way."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nuwa_cli.cli.forecast import calibration
from nuwa_cli.cli.forecast.calibration import Watch, calibration_path, known_runs, pace_of, record
from nuwa_cli.cli.forecast.plan import Plan, forecast
from nuwa_cli.cli.work.options import ModelOptions
from nuwa_cli.hub.catalog import find_model
from nuwa_cli.hub.manifest import Manifest, read_manifest
from nuwa_cli.hub.model_config import ModelConfig, read_config

Run = Callable[..., Any]


class Wish:
    task, prompt, given, num_frames, best_of = "t2i", "a dog", None, None, None
    sampling: dict[str, Any] = {}  # noqa: RUF012


@functools.cache
def shipped() -> tuple[ModelConfig, Manifest]:
    folder = find_model("storybook")
    return read_config(folder), read_manifest(folder)


def planned(**options: Any) -> Plan:
    config, manifest = shipped()
    wish: Any = Wish()
    return forecast(config, [wish], model=ModelOptions(**options), manifest=manifest)


def test_two_runs_are_enough() -> None:
    """From a first run three times too slow, the second brings the forecast within a quarter."""
    plan = planned()
    assert plan.pace.is_rough
    truth = 4 * plan.reference_seconds
    record(plan, start=5.0, drawing=1.2 * truth)
    assert planned().seconds == pytest.approx(1.2 * truth + 5.0)
    record(planned(), start=5.0, drawing=truth)
    after = planned()
    assert not after.pace.is_rough
    assert after.seconds - after.pace.start == pytest.approx(truth, rel=0.25)
    assert "rough" not in after.total()


def test_machines_models_and_formats_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    record(planned(), start=1.0, drawing=9.0)
    assert planned(dtype="float32").pace.is_rough
    assert planned(device="cpu").pace.is_rough
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert not planned().pace.is_rough  # one thread draws, whatever the environment says
    assert pace_of(ModelOptions(), "another digest").is_rough
    assert known_runs() == 1
    monkeypatch.setattr(calibration.platform, "node", lambda: "another machine")
    assert planned().pace.is_rough
    assert known_runs() == 0


def test_a_task_has_its_own_pace_once_it_was_run() -> None:
    record(planned(), start=None, drawing=2 * planned().reference_seconds)
    pace = planned().pace
    assert pace.of("t2i") == pytest.approx(2.0, rel=1e-3)
    assert pace.of("t2v") == pytest.approx(2.0, rel=1e-3)  # the best that is known
    plan = planned()
    clip = dataclasses.replace(plan, outputs=(dataclasses.replace(plan.outputs[0], task="t2v"),))
    record(clip, start=None, drawing=8 * clip.reference_seconds)
    assert planned().pace.of("t2v") == pytest.approx(8.0, rel=1e-3)
    assert planned().pace.of("t2i") == pytest.approx(2.0, rel=1e-3)


def test_a_model_that_is_there_at_once_is_remembered() -> None:
    record(planned(), start=1e-5, drawing=1.0)
    record(planned(), start=1e-5, drawing=1.0)
    assert planned().pace.runs == 2
    assert 0 < planned().pace.start < 0.01


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"{}" * 200_000]
)
def test_a_damaged_file_is_as_good_as_none(content: bytes) -> None:
    path = calibration_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert planned().pace.is_rough
    record(planned(), start=1.0, drawing=1.0)
    assert json.loads(path.read_bytes())["schema"] == "nuwa.calibration/2"
    assert not planned().pace.is_rough


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(entry=JSON, name=st.sampled_from(["start", "overall", "tasks", "runs"]))
@example(entry=1e-200, name="start")
def test_any_entry_is_survived(entry: Any, name: str) -> None:
    path = calibration_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    key = planned().pace.key
    good = {"start": 1.0, "overall": 1.0, "tasks": {"t2i": 1.0}, "runs": 1}
    document = {"schema": "nuwa.calibration/2", "entries": {key: {**good, name: entry}}}
    path.write_text(json.dumps(document))
    plan = planned()
    assert 0 < plan.seconds < float("inf")
    record(plan, start=1.0, drawing=1.0)
    assert planned().pace.runs > 0


def test_nothing_fails_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    record(plan, start=1.0, drawing=1.0)
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    record(plan, start=1.0, drawing=1.0)
    assert pace_of(ModelOptions(), "x").is_rough
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        record(plan, start=seconds, drawing=seconds)
    Watch().record(plan)  # no model was ever ready


def test_the_file_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(70):
        monkeypatch.setattr(calibration.platform, "node", lambda name=f"host {number}": name)
        record(planned(), start=1.0, drawing=1.0)
    entries = json.loads(calibration_path().read_bytes())["entries"]
    assert len(entries) == 64
    assert planned().pace.key in entries  # the newest one stays


def test_a_real_run_is_learned_from(tiny: Run) -> None:
    assert known_runs() == 0
    assert tiny("t2i", "a dog", "-o", "a.png").status == 0
    assert known_runs() == 1
    assert tiny("t2i", "a dog", "-o", "a.png").status == 4
    assert tiny("t2i", "a dog", "-o", "b.png", "--dry-run").status == 0
    assert known_runs() == 1
