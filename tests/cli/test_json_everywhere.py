"""`--json` and `--json-stream` of the commands that do not draw: one document, or events that end in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nuwa_cli.cli.app import parser
from nuwa_cli.cli.work.options import VoiceOptions
from nuwa_cli.cli.work.training import Narrator

Run = Callable[..., Any]

FOR_EYES = {"show", "completion"}
"""A picture for a terminal, a script for a shell."""


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(words), command
    for name, child in children.items():
        yield from leaves(child, (*words, name))


def test_every_command_has_json() -> None:
    without = {
        words
        for words, command in leaves(parser())
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == FOR_EYES


def test_the_manual_as_data(inside: Run, work: Path) -> None:
    document = json.loads(inside("man", "t2i", "--json").stdout)
    assert document["schema"] == "nuwa.manual/1"
    (page,) = document["pages"]
    assert page["command"] == "nuwa t2i"
    names = {option["names"]: option["value"] for option in page["options"]}
    assert names["-o, --output"] == "FILE"
    done = json.loads(inside("man", "vocab", "--folder", "m", "--json").stdout)
    assert done["outputs"] == [{"path": "m/nuwa-vocab.1"}]
    assert (work / "m" / "nuwa-vocab.1").exists()
    inside("man", "--json", "--markdown").check_refusal(2, "markdown: not with --json")


def test_a_new_config_file(inside: Run) -> None:
    done = json.loads(inside("config", "init", "--project", "--json").stdout)
    assert (done["command"], done["outputs"]) == ("config init", [{"path": "nuwa.toml"}])


class FakeRun:
    """A run of six steps, the first two of which an earlier process did."""

    def __init__(self, report: Callable[[str], None], run_dir: Path) -> None:
        self.report, self.run_dir, self.step = report, run_dir, 2
        self.recipe: Any = type("Recipe", (), {"steps": 6})
        report("resuming at step 2")

    def train(self, budget_minutes: float | None) -> None:
        assert budget_minutes == 1.5
        while self.step < 6:
            self.step += 1
            self.report(f"step {self.step}/6")


def train(path: Path, **options: bool) -> None:
    narrator = Narrator("train model", VoiceOptions(**options))
    run: Any = FakeRun(narrator.line, path)
    narrator.train(run, 1.5)


def test_events_of_a_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nuwa_cli.cli.work.output._EVENT_INTERVAL", 0.0)
    train(tmp_path, json_stream=True)
    shown = capfd.readouterr()
    assert not shown.err
    events = [json.loads(line) for line in shown.out.splitlines()]
    assert [event["event"] for event in events] == [
        *("note", "start"),
        *("note", "progress") * 4,
        *("output", "result"),
    ]
    assert (events[1]["total"], events[1]["unit"]) == (4, "step")
    assert [e["fraction"] for e in events if e["event"] == "progress"] == [0.25, 0.5, 0.75, 1.0]
    assert events[-1]["command"] == "train model"
    assert events[-1]["outputs"] == [{"path": str(tmp_path), "step": 6, "steps": 6}]


def test_the_log_of_a_training_for_people(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path)
    shown = capfd.readouterr()
    assert shown.out == f"{tmp_path}\n"
    assert shown.err.splitlines()[0] == "resuming at step 2" and shown.err.count("\n") == 5
    train(tmp_path, quiet=True, json=True)
    shown = capfd.readouterr()
    assert not shown.err and json.loads(shown.out)["outputs"][0]["step"] == 6


@pytest.mark.parametrize("command", ["eval", "train tokenizer --recipe x --run-dir y"])
def test_one_of_the_two(inside: Run, command: str) -> None:
    inside(*command.split(), "--json", "--json-stream").check_refusal(2, "json-stream: not with")


def test_events_of_an_evaluation(tiny: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from nuwa_cli.evaluation import run

    def evaluation(*_: Any, on_progress: Callable[[int, int], None], **__: Any) -> Any:
        for done in (1, 2, 3):
            on_progress(done, 3)
        return {"sets": {}}, []

    monkeypatch.setattr(run, "run_evaluation", evaluation)
    monkeypatch.setattr(run, "write_report", lambda *_: None)
    done = tiny("eval", "--only", "text", "-o", "r.json", "--json-stream")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events if event["event"] != "note"]
    assert names == ["start", "progress", "output", "result"]
    assert (done.status, done.stderr) == (0, "")
    assert events[-1]["report"] == {"sets": {}}
    assert events[-1]["outputs"] == [{"path": "r.json"}]


def test_events_of_a_replay(tiny: Run, work: Path) -> None:
    assert tiny("t2i", "a dog", "-o", "a.png", "-q").status == 0
    done = tiny("replay", "--check", "a.png", "a.png", "--json-stream")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.status, done.stderr) == (0, "")
    told = [event for event in events if event["event"] == "output"]
    assert [(event["path"], event["status"]) for event in told] == [("a.png", "identical")] * 2
    assert events[0] == {"event": "start", "total": 2, "unit": "file"}
    assert (events[-1]["event"], len(events[-1]["files"])) == ("result", 2)
    (made,) = (
        event
        for event in map(json.loads, tiny("replay", "a.png", "--json-stream").stdout.splitlines())
        if event["event"] == "output"
    )
    assert (made["output"], (work / "a-replay.png").exists()) == ("a-replay.png", True)
    tiny("replay", "a.png", "--json", "--json-stream").check_refusal(2, "not with --json")
