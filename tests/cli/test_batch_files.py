"""Job files become command lines: three formats, one meaning; what is malformed is refused by line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuwa_cli.cli.batch import reading, variants
from nuwa_cli.cli.batch.reading import read_entries
from nuwa_cli.cli.batch.translation import Job, translate
from nuwa_cli.errors import UsageError

Run = Callable[..., Any]

JSONL = """
{"defaults": {"seed": 3, "frames": 4}}
{"command": "t2i", "prompt": "a dog, on the beach", "output": "a.png"}

{"command": "edit", "image": "a.png", "prompt": "-x", "box": ["1,2,3,4", "5,6,7,8"], "mask_invert": true, \
"output": "b.png", "seed": 5}
{"command": "t2v", "prompt": ["x", "y"], "output": "v/", "num": 2, "best-of": null}
"""
CSV = """command,prompt,output,box,box,Image,mask-invert,seed,num,frames
t2i,"a dog, on the beach",a.png,,,,,3,,
edit,-x,b.png,"1,2,3,4","5,6,7,8",a.png,true,5,,
t2v,x,v/,,,,,3,2,4
"""
TOML = """
[defaults]
seed = 3
frames = 4

[[jobs]]
command = "t2i"
prompt = "a dog, on the beach"
output = "a.png"

[[ jobs ]]
command = "edit"
image = "a.png"
prompt = "-x"
box = ["1,2,3,4", "5,6,7,8"]
mask-invert = true
output = "b.png"
seed = 5

  [[jobs]]
command = "t2v"
prompt = ["x", "y"]
output = "v/"
num = 2
"""


def jobs_of(path: Path, folder: str | None = None, **defaults: Any) -> list[Job]:
    jobs: list[Job] = []
    for entry in read_entries([path]):
        jobs += translate(
            entry,
            len(jobs),
            defaults=defaults,
            folder=None if folder is None else Path(folder),
            force=False,
            resolve=str,
        )
    return jobs


def jobs_from(work: Path, text: str, name: str = "j.jsonl", **more: Any) -> list[Job]:
    (work / name).write_text(text, encoding="utf-8")
    return jobs_of(work / name, **more)


def words(job: Job) -> tuple[str, set[str], tuple[str, ...]]:
    """Command, options and arguments: options have no order."""
    end = job.argv.index("--")
    return job.command, set(job.argv[1:end]), job.argv[end + 1 :]


def test_three_formats_say_the_same(work: Path) -> None:
    jobs = jobs_from(work, JSONL)
    clip = {"--frames=4", "--output=v/0002-{index}-{slug}{suffix}", "--seed=3", "--num=2"}
    shapes = {"--box=1,2,3,4", "--box=5,6,7,8", "--mask-invert"}
    expected = [
        ("t2i", {"--output=a.png", "--seed=3"}, ("a dog, on the beach",)),
        ("edit", {*shapes, "--output=b.png", "--seed=5"}, ("a.png", "-x")),
        ("t2v", clip, ("x", "y")),
    ]
    assert [words(job) for job in jobs] == expected
    assert [job.line for job in jobs] == [3, 5, 6]
    assert jobs[1].inputs == ("a.png",)
    in_toml = jobs_from(work, TOML, "j.toml")
    assert [words(job) for job in in_toml] == expected
    assert [job.line for job in in_toml] == [6, 11, 20]
    in_csv = jobs_from(work, CSV, "j.csv")
    assert [words(job) for job in in_csv[:2]] == expected[:2]
    assert words(in_csv[2]) == ("t2v", clip, ("x",))  # one cell, one prompt
    assert [job.line for job in in_csv] == [2, 3, 4]


def test_lists_of_single_values_multiply(work: Path) -> None:
    line = '{"command": "t2i", "prompt": "a dog", "seed": [1, 2], "guidance": [1.5, 2], "output": "%s"}'
    named = [job.output for job in jobs_from(work, line % "{slug}/{guidance}-{seed}-{job}.png")]
    assert named == [
        "{slug}/1.5-1-0000.png",
        "{slug}/2-1-0001.png",
        "{slug}/1.5-2-0002.png",
        "{slug}/2-2-0003.png",
    ]
    numbered = jobs_from(work, line % "a.png")
    assert [job.output for job in numbered] == [f"a-000{index}.png" for index in range(4)]
    options = {"--output=a-0001.png", "--seed=1", "--guidance=2"}
    assert words(numbered[1]) == ("t2i", options, ("a dog",))
    line = '{"command": "edit", "image": "i.png", "prompt": ["a cat", "a cow"], "output": "{slug}.png"}'
    assert [job.argv[-1] for job in jobs_from(work, line)] == ["a cat", "a cow"]


def test_a_folder_for_all(work: Path) -> None:
    line = '{"command": "t2i", "prompt": "a dog"%s}'
    (job,) = jobs_from(work, line % "", folder="out")
    assert job.output == "out/0000-{slug}{suffix}"
    (job,) = jobs_from(work, line % ', "output": "sub/a.png"', folder="out")
    assert job.output == "out/sub/a.png"
    (job,) = jobs_from(work, line % ', "output": "/tmp/a.png"', folder="out")
    assert job.output == "/tmp/a.png"


def test_defaults_give_way(work: Path) -> None:
    """The batch's own below those of the file, these below the job; one that only other commands know is
    for them."""
    text = '{"defaults": {"seed": 1, "frames": 9}}\n{"command": "t2i", "prompt": "x", "output": "a.png"%s}'
    assert "--seed=1" in jobs_from(work, text % "", seed=7, top_k=3)[0].argv
    assert "--seed=2" in jobs_from(work, text % ', "seed": 2', seed=7)[0].argv
    argv = jobs_from(work, text % "", seed=7, top_k=3)[0].argv
    assert "--top-k=3" in argv
    assert not any("frames" in word for word in argv)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("j.jsonl", "", "holds no job"),
        ("j.jsonl", "\n\na dog\n", "line 3: is no JSON object"),
        ("j.jsonl", '{"command": "t2i",}', "line 1: "),
        ("j.jsonl", '{"command": "t2i", "prompt": "a", "prompt": "b"}', "'prompt' is given twice"),
        ("j.jsonl", '{"command": "t2i", "seed": NaN}', "'NaN' is no number"),
        ("j.jsonl", '{"command": "t2i", "seed": {"a": 1}}', "'seed' is dict"),
        ("j.jsonl", '{"command": "t2i", "seed": []}', "'seed' is an empty list"),
        ("j.jsonl", '{"command": "t2i", "seed": 1e999}', "'seed' is float"),
        ("j.jsonl", '{"command": "t2i", "seed": ' + "[" * 9999, "line 1: "),
        ("j.jsonl", '{"command": "t2i", "seed": ' + "9" * 9999 + "}", "cannot be read"),
        ("j.jsonl", '{"prompt": "a"}', "has no 'command'; give one of t2i t2v"),
        ("j.jsonl", '{"command": "draw"}', "command 'draw' is unknown; use t2i"),
        ("j.jsonl", '{"command": "batch"}', "command 'batch' is unknown"),
        ("j.jsonl", '{"command": ["t2i"]}', "is unknown"),
        ("j.jsonl", '{"command": "t2i", "prompt": "x"}', "has no 'output'"),
        ("j.jsonl", '{"command": "t2i", "output": "a.png"}', "t2i needs 'prompt'"),
        ("j.jsonl", '{"command": "edit", "prompt": "x", "output": "a.png"}', "edit needs 'image'"),
        ("j.jsonl", '{"command": "t2i", "promt": "x"}', "do you mean 'prompt'?"),
        ("j.jsonl", '{"command": "t2i", "zz": 1}', "t2i has no 'zz'; see: nuwa t2i -h"),
        ("j.jsonl", '{"command": "t2i", "top-k": 1, "top_k": 2}', "'top_k' is given twice"),
        ("j.jsonl", '{"command": "t2i", "json": true}', "'json' is not for a single job"),
        ("j.jsonl", '{"defaults": {"zz": 1}}\n{"command": "t2i"}', "'zz' is known to no command"),
        ("j.jsonl", '{"command": "t2i", "prompt": "x", "output": "-"}', "is no file name"),
        ("j.jsonl", '{"command": "t2i", "prompt": "-", "output": "a.png"}', "would read stdin"),
        (
            "j.jsonl",
            '{"command": "t2i", "prompt": "x", "output": "a.png", "force": "perhaps"}',
            "'force' is a switch, 'perhaps' is not",
        ),
        (
            "j.jsonl",
            '{"command": "t2i", "prompt": "x", "output": "a.png", "seed": true}',
            "'seed' is no switch",
        ),
        ("j.csv", "command,prompt\nt2i,a,b\n", "line 2: has 3 cells, the header has 2"),
        ("j.csv", 'command,prompt\nt2i,"a\n', "line 2: unexpected end of data"),
        ("j.csv", "command,\nt2i,a\n", "a column without a name"),
        ("j.toml", '[[jobs]]\ncommand = "t2i\n', "line 2: "),
        ("j.toml", "[job]\n", "'job' is unknown; use [defaults] and [[jobs]]"),
        ("j.toml", "[jobs]\n", "write [[jobs]]"),
        ("j.toml", "[[jobs]]\nseed = nan\n", "line 1: 'seed' is float"),
        ("j.txt", "a dog\n", "'.txt' is no job file; use .jsonl .csv .toml"),
    ],
)
def test_malformed(inside: Run, work: Path, name: str, text: str, why: str) -> None:
    (work / name).write_text(text)
    inside("batch", name).check_refusal(2, why)
    assert [path.name for path in work.iterdir()] == [name]


def test_unreadable(inside: Run, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside("batch", "none.jsonl").check_refusal(3, "jobs 'none.jsonl': no such file")
    inside("batch", "-", "-").check_refusal(2, "stdin can be read once")
    (work / "j.jsonl").write_bytes(b'{"command": "t2i"}\n\xff\n')
    inside("batch", "j.jsonl").check_refusal(2, "line 2: is not valid utf-8")
    (work / "d.jsonl").mkdir()
    inside("batch", "d.jsonl").check_refusal(3, "is not a regular file")
    monkeypatch.setattr(reading, "MAX_BYTES", 8)
    inside("batch", "j.jsonl").check_refusal(3, "is larger than")
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    monkeypatch.setattr(reading, "MAX_JOBS", 2)
    (work / "j.jsonl").write_text('{"command": "t2i"}\n' * 3)
    inside("batch", "j.jsonl").check_refusal(2, "more than 2 jobs")


def test_variants_of_prompts() -> None:
    prompts = ["a {red|blue} {bus|car}", None, "{0} {x} {{a|b}}", "a {|big} dog"]
    assert variants.expand_prompts(prompts) == [
        "a red bus",
        "a red car",
        "a blue bus",
        "a blue car",
        None,
        "{0} {x} {a|b}",
        "a dog",
        "a big dog",
    ]
    with pytest.raises(UsageError, match="gives 16384 variants; at most 10000"):
        variants.expand_prompts(["{a|b}" * 14])


@given(st.text(alphabet="{|}a ", max_size=30))
def test_a_literal_prompt_is_left_alone(prompt: str) -> None:
    assert variants.expand_prompts([variants.literal(prompt)]) == [prompt]


def test_sweeps() -> None:
    assert variants.sweep_settings([]) == [{}]
    settings = variants.sweep_settings(["guidance=1,2", "--top-k = 3, 4"])
    assert settings == [
        {"guidance": "1", "top_k": "3"},
        {"guidance": "1", "top_k": "4"},
        {"guidance": "2", "top_k": "3"},
        {"guidance": "2", "top_k": "4"},
    ]
    for text in ("guidance", "guidance=", "guidance=1,,2", "=1", "a b=1"):
        with pytest.raises(UsageError, match="give an option and its values"):
            variants.sweep_settings([text])
    with pytest.raises(UsageError, match="is swept already"):
        variants.sweep_settings(["seed=1", "seed=2"])
