"""Fault table A: weights and configs of a model folder (downloads: test_table_a_hub.py)."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_tools import Finished, Run, times
from forging import WEIGHTS, change_config, change_header, header_of, rewrite, with_header

from nuwa_cli.errors import InputError
from nuwa_cli.hub.header import check_header
from nuwa_cli.hub.model_dir import load_model
from nuwa_cli.hub.preflight import check_model

Refuses = Callable[..., Finished]
DRAW = ("t2i", "a dog", "-o", "out.png", "--model")


@pytest.mark.row("A1")
def test_cut_and_extended_weights(refuses: Refuses, model: Path) -> None:
    content = (model / WEIGHTS).read_bytes()
    for changed, why in (
        (content[:-1], f"file is {len(content) - 1} bytes, header says {len(content)}"),
        (content + b"\0", f"file is {len(content) + 1} bytes, header says {len(content)}"),
        (content[:5], "too short for safetensors"),
    ):
        rewrite(model, WEIGHTS, changed)
        refuses(3, why, *DRAW, model)


@pytest.mark.row("A1")
def test_every_cut_of_the_header_and_many_of_the_data(model: Path) -> None:
    content = (model / WEIGHTS).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    step = max(1, (len(content) - length) // times(420, 500, 20_000))
    cuts = [*range(length + 8), *range(length + 8, len(content), step)]
    assert len(cuts) > length + 400
    for cut in cuts:
        with pytest.raises(InputError):
            check_header(content[:cut], Path("m.safetensors"))


EMPTY = '{"dtype":"F32","shape":[%s],"data_offsets":[0,0]}'


def many_tensors() -> bytes:
    tensors = ",".join(f'"t{index}":{EMPTY % 0}' for index in range(240_000))
    return with_header(f"{{{tensors}}}".encode(), b"")


def one_tensor(dtype: str, shape: list[int], offsets: list[int], name: str = "t") -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return with_header({name: entry}, b"x")


BOMBS: dict[str, Callable[[], bytes]] = {
    "no header": lambda: struct.pack("<Q", 0),
    "seven bytes": lambda: struct.pack("<Q", 7) + b"{}     ",
    "2^63": lambda: struct.pack("<Q", 1 << 63) + b"{}",
    "100 MB": lambda: struct.pack("<Q", 100_000_000) + bytes(100_000_000),
    "a quarter of a million tensors": many_tensors,
    "rank of eight million": lambda: with_header(
        ('{"t":' + EMPTY % ",".join(["0"] * 8_000_000) + "}").encode(), b""
    ),
    "deep": lambda: with_header(b'{"a":' * 200_000 + b"0" + b"}" * 200_000, b""),
    "bad UTF-8": lambda: with_header(b'{"\xff\xfe":1}', b""),
    "long name": lambda: one_tensor("U8", [1], [0, 1], "n" * 600),
    "negative": lambda: one_tensor("U8", [-1], [0, -1]),
    "overflow": lambda: one_tensor("F32", [1 << 40, 1 << 40], [0, 0]),
}


@pytest.mark.row("A2")
@pytest.mark.parametrize("name", BOMBS)
def test_header_bombs(refuses: Refuses, refuses_too: Refuses, model: Path, name: str) -> None:
    """Small in the file and large in memory, or lying about their length."""
    content = BOMBS[name]()
    rewrite(model, WEIGHTS, content)
    (refuses if len(content) > 100_000 else refuses_too)(3, WEIGHTS, *DRAW, model)


def crafted(content: bytes) -> dict[str, tuple[bytes, str]]:
    header, data = header_of(content)
    raw = json.dumps(header).encode()
    first, second = sorted(
        (name for name in header if name != "__metadata__"),
        key=lambda name: header[name]["data_offsets"],
    )[:2]
    hole = json.loads(raw)
    del hole[first]
    overlap = json.loads(raw)
    begin, end = overlap[second]["data_offsets"]
    overlap[second]["data_offsets"] = [begin - 4, end - 4]
    return {
        "duplicate keys": (with_header(raw[:-1] + b"," + raw[1:], data), "duplicate key"),
        "blanks": (with_header(b"  " + raw, data), "does not begin with '{'"),
        "hole": (with_header(hole, data), "leaves a hole or overlaps"),
        "overlap": (with_header(overlap, data), "leaves a hole or overlaps"),
        "polyglot": (content + b"PK\x05\x06" + bytes(18), "header says"),
        "NaN in JSON": (with_header(raw[:-1] + b',"x":NaN}', data), "NaN is no JSON value"),
    }


@pytest.mark.row("A3")
def test_crafted_headers(refuses: Refuses, refuses_too: Refuses, model: Path) -> None:
    content = (model / WEIGHTS).read_bytes()
    for index, (changed, why) in enumerate(crafted(content).values()):
        rewrite(model, WEIGHTS, changed)
        (refuses_too if index else refuses)(3, why, *DRAW, model)


def misfits() -> dict[str, tuple[Callable[[dict[str, Any]], Any], str]]:
    def rename(header: dict[str, Any]) -> None:
        header["head.other"] = header.pop("head.weight")

    def transpose(header: dict[str, Any]) -> None:
        header["head.weight"]["shape"].reverse()

    def retype(header: dict[str, Any]) -> None:
        name = next(n for n in header if header[n].get("dtype") == "BF16")
        header[name]["dtype"] = "U8"
        header[name]["shape"] = [2 * int(np.prod(header[name]["shape"]))]

    return {
        "renamed": (rename, "1 missing (head.weight), 1 unexpected (head.other)"),
        "transposed": (transpose, "1 of another shape or type (head.weight: "),
        "another type": (retype, " uint8, want "),
    }


@pytest.mark.row("A4")
@pytest.mark.parametrize("name", misfits())
def test_tensors_that_do_not_fit(
    nuwa: Run, inside: Run, model: Path, work: Path, name: str
) -> None:
    change, why = misfits()[name]
    change_header(model, change)
    (nuwa if name == "renamed" else inside)(*DRAW, model).check_refusal(3, why)
    assert not list(work.iterdir())


@pytest.mark.row("A5")
@pytest.mark.parametrize("value", [0x7FC0, 0x7F80, 0xFF80], ids=["NaN", "inf", "-inf"])
def test_weights_that_are_not_finite(nuwa: Run, inside: Run, model: Path, value: int) -> None:
    content = bytearray((model / WEIGHTS).read_bytes())
    header, _ = header_of(bytes(content))
    last = max(
        (name for name in header if header[name].get("dtype") == "BF16"),
        key=lambda name: header[name]["data_offsets"],
    )
    end = len(content) - max(h["data_offsets"][1] for h in header.values() if "data_offsets" in h)
    end += header[last]["data_offsets"][1]
    content[end - 2 : end] = struct.pack("<H", value)
    rewrite(model, WEIGHTS, bytes(content))
    done = (nuwa if value == 0x7FC0 else inside)(*DRAW, model)
    done.check_refusal(3, f"tensor '{last}' holds NaN or infinity")


def bad_configs() -> list[tuple[str, Callable[[dict[str, Any]], Any]]]:
    """Name and change; a change gets the whole config document."""
    huge, part = 10**9, ("tokenizer", "transformer")
    cases: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
        ("no object", lambda _: []),
        ("empty", lambda _: {}),
        ("format 2", lambda c: c.update(format_version=2)),
        ("format text", lambda c: c.update(format_version="1")),
        ("unknown key", lambda c: c.update(extra=1)),
        ("missing key", lambda c: c.pop("fps")),
        ("a path", lambda c: c.update(text_file="../text.json")),
        ("name with a line", lambda c: c.update(name="a\nb")),
        ("name of a million", lambda c: c.update(name="x" * 10**6)),
        ("frames 0", lambda c: c.update(num_frames=0)),
        ("frames huge", lambda c: c.update(num_frames=huge)),
        ("frames true", lambda c: c.update(num_frames=True)),
        ("fps 0", lambda c: c.update(fps=0)),
        ("fps text", lambda c: c.update(fps="6")),
        ("best of 0", lambda c: c.update(best_of=0)),
        ("defaults list", lambda c: c.update(defaults=[])),
        ("defaults NaN", lambda c: c["defaults"].update(temperature="nan")),
        ("defaults unknown", lambda c: c["defaults"].update(sampler="x")),
        ("no transformer", lambda c: c.update(transformer=None)),
        ("extent even", lambda c: c["transformer"].update(extent=[2, 2, 2])),
        ("extent short", lambda c: c["transformer"].update(extent=[3])),
        ("extent text", lambda c: c["transformer"].update(extent="333")),
        ("heads 0", lambda c: c["transformer"].update(num_heads=0)),
        ("heads odd", lambda c: c["transformer"].update(num_heads=5)),
        ("stem 0", lambda c: c["tokenizer"].update(stem_factor=0)),
        ("widths empty", lambda c: c["tokenizer"].update(widths=[], depths=[])),
        ("widths longer", lambda c: c["tokenizer"].update(widths=[1, 2, 3])),
        ("code remote", lambda c: c.update(auto_map={"AutoModel": "evil.py"})),
    ]
    for where, key in (
        *((part[1], k) for k in ("dim", "decoder_layers", "encoder_layers", "mlp_ratio")),
        *((part[1], k) for k in ("visual_vocab", "text_vocab", "grid_height", "max_frames")),
        *((part[0], k) for k in ("codebook_size", "code_dim", "image_size", "in_channels")),
    ):
        cases += [
            (f"{key} {value}", lambda c, w=where, k=key, v=value: c[w].update({k: v}))
            for value in (huge, 1 << 19, -1, "9")
        ]
    return cases


@pytest.mark.row("A6")
def test_bad_configs(inside: Run, model: Path, work: Path) -> None:
    """Before anything is built: the check that needs no torch finds nearly all of them."""
    good = {name: (model / name).read_bytes() for name in ("config.json", "manifest.json")}
    cases = bad_configs()
    assert len(cases) >= 40
    late = []
    for name, change in cases:
        for file, content in good.items():
            (model / file).write_bytes(content)
        change_config(model, change)
        try:
            check_model(str(model))
        except InputError as error:
            assert len(str(error)) < 1000
        else:
            late.append(name)
            inside(*DRAW, model).check_refusal(3)
    assert len(late) <= 6, late
    assert not list(work.iterdir())


@pytest.mark.row("A6")
def test_bad_configs_through_the_command(refuses: Refuses, model: Path) -> None:
    good = {name: (model / name).read_bytes() for name in ("config.json", "manifest.json")}
    for change, why in (
        (lambda c: c["transformer"].update(dim=10**9), "transformer.dim is 1000000000"),
        (lambda c: c["transformer"].update(dim=1 << 16), "its config asks for at least"),
        (lambda c: c.update(format_version=2), "this nuwa reads 1; update nuwa"),
    ):
        for file, content in good.items():
            (model / file).write_bytes(content)
        change_config(model, change)
        refuses(3, why, *DRAW, model)


STRANGE = (
    *("../x", "/etc/passwd", "C:\\x", "\\\\host\\x", "a/../../b", "sub/x.safetensors"),
    *("transformer.safetensors\0", "..", "", ".", "con.safetensors"),
)


@pytest.mark.row("A7")
def test_a_manifest_of_other_files(refuses: Refuses, refuses_too: Refuses, model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text())
    for index, name in enumerate(STRANGE):
        files = {**manifest["files"], name: {"sha256": "0" * 64, "size": 3}}
        (model / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
        if index < 3:
            (refuses_too if index else refuses)(3, "manifest names", *DRAW, model)
        with pytest.raises(InputError, match="manifest names"):
            check_model(str(model))


@pytest.mark.row("A7")
def test_nothing_outside_of_the_folder_is_opened(model: Path, tmp_path: Path) -> None:
    """An audit hook sees every file that is opened while a strange manifest is refused."""
    secret = tmp_path / "x"
    secret.write_text("secret")
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["files"]["../x"] = {"sha256": "0" * 64, "size": 6}
    (model / "manifest.json").write_text(json.dumps(manifest))
    code = (
        "import sys\n"
        "from nuwa_cli.hub.preflight import check_model\n"
        "from nuwa_cli.errors import InputError\n"
        "import nuwa_cli.hub.header, json.decoder\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: event == 'open' and opened.append(str(args[0])))\n"
        "try:\n    check_model(sys.argv[1])\nexcept InputError:\n    pass\n"
        "else:\n    raise SystemExit('accepted')\n"
        "print('\\n'.join(opened))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(model / "manifest.json")]


@pytest.mark.row("A7")
def test_a_link_out_of_the_folder(refuses: Refuses, model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"secret")
    (model / WEIGHTS).unlink()
    (model / WEIGHTS).symlink_to(tmp_path / "elsewhere")
    refuses(3, "its manifest says", *DRAW, model)


class Canary:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.row("A8")
def test_pickles(refuses: Refuses, refuses_too: Refuses, model: Path, tmp_path: Path) -> None:
    import torch

    canary = tmp_path / "fired"
    pickled = pickle.dumps(Canary(canary))
    for suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"):
        (tmp_path / f"m{suffix}").write_bytes(pickled)
        through = refuses if suffix == ".bin" else refuses_too
        through(3, "pickle checkpoints are not loaded", *DRAW, tmp_path / f"m{suffix}")
    torch.save({"a": torch.zeros(10)}, tmp_path / "real.pt")
    for content in (pickled + bytes(100), (tmp_path / "real.pt").read_bytes()):
        rewrite(model, WEIGHTS, content)
        refuses(3, "pickle checkpoints are not loaded; convert", *DRAW, model)
    assert not canary.exists()


@pytest.mark.row("A9")
def test_flipped_bits(refuses: Refuses, model: Path) -> None:
    """Both digests are shown; one bit in each of many places is found."""
    names = ("config.json", "text.json", WEIGHTS, "tokenizer.safetensors")
    for index in range(times(24, 100, 2000)):
        path = model / names[index % len(names)]
        content = bytearray(path.read_bytes())
        good = bytes(content)
        content[index * 7919 % len(content)] ^= 1 << index % 8
        path.write_bytes(content)
        if index < 2:
            done = refuses(3, f"{path.name}': sha256 is ", *DRAW, model)
            assert done.stderr.count("…, ") + done.stderr.count("…; ") == 2
        with pytest.raises(InputError, match=r"sha256 is [0-9a-f]{12}…, .* says [0-9a-f]{12}…"):
            check_model(str(model))
        path.write_bytes(good)
    check_model(str(model))


@pytest.mark.row("A13")
def test_weights_that_shrink_and_grow_while_they_are_read(model_folder: Path, model: Path) -> None:
    """Another process truncates and restores the files all the time: the model is refused or whole,
    and the process lives (a mapped file would kill it with SIGBUS)."""
    import torch

    whole = load_model(model_folder).transformer.state_dict()
    good = (model / WEIGHTS).read_bytes()
    is_over = threading.Event()

    def disturb() -> None:
        while not is_over.is_set():
            os.truncate(model / WEIGHTS, len(good) // 2)
            with open(model / WEIGHTS, "r+b") as file:
                file.write(good)

    thread = threading.Thread(target=disturb)
    thread.start()
    outcomes = []
    try:
        for _ in range(times(5, 30, 1000)):
            try:
                state = load_model(model).transformer.state_dict()
            except InputError:
                outcomes.append("refused")
            else:
                outcomes.append("right")
                assert all(torch.equal(state[name], whole[name]) for name in whole)
    finally:
        is_over.set()
        thread.join()
    assert len(outcomes) == times(5, 30, 1000)


@pytest.mark.row("A13")
def test_the_command_while_weights_change(nuwa: Run, model: Path, work: Path) -> None:
    good = (model / WEIGHTS).read_bytes()
    code = (
        "import os, sys\n"
        "path, good = sys.argv[1], open(sys.argv[1], 'rb').read()\n"
        "while True:\n"
        "    os.truncate(path, len(good) // 2)\n"
        "    open(path, 'r+b').write(good)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, model / WEIGHTS]) as other:
        try:
            done = nuwa(*DRAW, model)
        finally:
            other.kill()
    (model / WEIGHTS).write_bytes(good)
    assert done.status in (0, 3), done
    shutil.rmtree(work)
