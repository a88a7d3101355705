"""Every script in examples/ runs as it stands, here with the tiny model."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
OUTPUTS = {
    "t2i.sh": {f"house-000{index}.png" for index in range(4)},
    "t2v.sh": {"golf.mp4", "golf.gif"},
}


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.sh")), ids=lambda path: path.name)
def test_example_runs(script: Path, work: Path, command: str, model_folder: Path) -> None:
    path = os.pathsep.join((str(Path(command).parent), os.environ["PATH"]))
    done = subprocess.run(
        [script, "--model", model_folder],
        cwd=work,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == OUTPUTS[script.name]
    assert {path.name for path in work.iterdir()} == OUTPUTS[script.name]
