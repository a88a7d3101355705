"""Model folders: what is saved is loaded, and everything that does not match is refused whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nuwa_cli.errors import InputError, NuwaError, UsageError
from nuwa_cli.hub.catalog import CATALOG, find_model
from nuwa_cli.hub.manifest import MANIFEST_NAME, read_manifest, verify_files
from nuwa_cli.hub.model_dir import load_model, read_config, save_model
from nuwa_cli.hub.safetensors_file import check_header, tensors_from_bytes
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.tokenizer.vqgan import VQGAN


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and make the manifest agree with it: a forger's copy."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / MANIFEST_NAME).read_text())
    manifest["files"][name] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))


def change_config(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads((folder / "config.json").read_text())
    change(document)
    rewrite(folder, "config.json", json.dumps(document).encode())


def test_saved_is_loaded(model_folder: Path) -> None:
    """Every weight comes back as the bfloat16 value of what was saved."""
    model = load_model(model_folder)
    again = load_model(model_folder, dtype=torch.bfloat16)
    assert model.config.name == "tiny"
    assert model.digest == hashlib.sha256((model_folder / MANIFEST_NAME).read_bytes()).hexdigest()
    for name, value in model.transformer.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value.bfloat16(), again.transformer.state_dict()[name]), name
    assert not any(p.requires_grad for p in model.transformer.parameters())
    assert not model.tokenizer.training
    assert model.reranker is not None


def test_saving_is_deterministic_and_replaces(model_folder: Path, tmp_path: Path) -> None:
    model = load_model(model_folder)

    def save(folder: Path, *, with_optional: bool) -> str:
        return save_model(
            folder,
            config=model.config.to_dict(),
            tokenizer=model.tokenizer,
            transformer=model.transformer,
            text_json=(model_folder / "text.json").read_text(),
            sketch_tokenizer=model.sketch_tokenizer if with_optional else None,
            reranker=model.reranker if with_optional else None,
            card="# another card",
        )

    assert save(tmp_path / "a", with_optional=True) == model.digest  # the card is no weight
    for path in model_folder.iterdir():
        if path.name != "README.md":
            assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes(), path.name
    assert save(tmp_path / "a", with_optional=False) != model.digest
    assert not (tmp_path / "a" / "reranker.safetensors").exists()
    assert load_model(tmp_path / "a").reranker is None


def test_loading_leaves_the_global_generator_alone(model_folder: Path) -> None:
    before = torch.get_rng_state()
    load_model(model_folder)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["config.json", "text.json", "transformer.safetensors"])
def test_one_flipped_bit_is_found(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}': sha256 is .* manifest says"):
        load_model(folder)
    _, problems = verify_files(folder)
    assert len(problems) == 1


def test_missing_truncated_and_odd_files(folder: Path) -> None:
    path = folder / "tokenizer.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match="its manifest says"):
        load_model(folder)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        load_model(folder)
    path.mkdir()
    with pytest.raises(InputError, match="regular file"):
        load_model(folder)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not valid JSON"),
        (b"[]", "no JSON object"),
        (b'{"format_version": 99, "files": {}}', "format version 99"),
        (b'{"format_version": 1, "files": {"../x": {}}}', r"names '\.\./x'"),
        (b'{"format_version": 1, "files": {"/etc/passwd": {}}}', "names '/etc/passwd'"),
        (b'{"format_version": 1, "files": {}}', "does not name 'config.json'"),
        (b'{"format_version": 1, "format_version": 1, "files": {}}', "duplicate key"),
        (b'{"format_version": NaN}', "NaN"),
        (b"{" * 100_000, "not valid JSON"),
        (b"\xff", "not valid JSON"),
    ],
)
def test_bad_manifests(folder: Path, content: bytes, why: str) -> None:
    (folder / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(InputError, match=why):
        read_manifest(folder)


BAD_CONFIGS: list[Callable[[dict[str, Any]], Any]] = [
    lambda c: c.update(format_version=2),
    lambda c: c.update(extra=1),
    lambda c: c.pop("name"),
    lambda c: c.update(name="a\nb"),
    lambda c: c.update(name=3),
    lambda c: c.update(text_file="../text.json"),
    lambda c: c.update(fps=0),
    lambda c: c.update(fps="6"),
    lambda c: c.update(num_frames=0),
    lambda c: c.update(num_frames=1.5),
    lambda c: c.update(best_of=0),
    lambda c: c.update(best_of=True),
    lambda c: c.update(tokenizer=[]),
    lambda c: c.update(transformer=None),
    lambda c: c["transformer"].update(dim=10**9),
    lambda c: c["transformer"].update(dim=64),
    lambda c: c["transformer"].update(dim=-32),
    lambda c: c["transformer"].update(dim="32"),
    lambda c: c["transformer"].update(dim=32.0),
    lambda c: c["transformer"].update(num_heads=0),
    lambda c: c["transformer"].update(num_heads=5),
    lambda c: c["transformer"].update(decoder_layers=3),
    lambda c: c["transformer"].update(decoder_layers=10**6),
    lambda c: c["transformer"].update(extent=[2, 2, 2]),
    lambda c: c["transformer"].update(extent=[3, 3]),
    lambda c: c["transformer"].update(extra=1),
    lambda c: c["transformer"].pop("dim"),
    lambda c: c["tokenizer"].update(codebook_size=65),
    lambda c: c["tokenizer"].update(codebook_size=2**20, code_dim=2**20),
    lambda c: c["tokenizer"].update(widths=[16]),
    lambda c: c["tokenizer"].update(stem_factor=0),
    lambda c: c["tokenizer"].update(image_size=33),
    lambda c: c["tokenizer"].update(intact_skips=1),
    lambda c: c["tokenizer"].update(intact_skips=not c["tokenizer"]["intact_skips"]),
    lambda c: c["defaults"].update(temperature="hot"),
    lambda c: c["defaults"].update(top_p=2.0),
    lambda c: c["defaults"].update(seed=-1),
    lambda c: c["reranker"].update(text_layers=600),
    lambda c: c["reranker"].update(num_heads=0),
]


@pytest.mark.parametrize("change", BAD_CONFIGS)
def test_bad_configs(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    change_config(folder, change)
    with pytest.raises(InputError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)


def test_config_that_fits_is_read_without_weights(folder: Path) -> None:
    (folder / "transformer.safetensors").unlink()
    assert read_config(folder).num_frames == 3


def forge(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


BAD_WEIGHTS = {
    "too short": b"1234567",
    "no header": forge({"a": entry()}, bytes(8), length=0),
    "huge length": forge({}, length=2**63),
    "100 MB header": forge({}, length=10**8),
    "longer than the file": forge({}, length=50),
    "leading blank": forge(b'  {"a": {}}'),
    "duplicate": forge(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"1",
    ),
    "deep": forge(b'{"a":' * 50_000),
    "bad utf-8": forge(b'{"\xff": 1}'),
    "extra byte": forge({"a": entry()}, bytes(9)),
    "missing byte": forge({"a": entry()}, bytes(7)),
    "hole": forge({"a": entry(), "b": entry(offsets=(16, 24))}, bytes(24)),
    "overlap": forge({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "wrong span": forge({"a": entry(shape=(3,))}, bytes(8)),
    "negative": forge({"a": entry(shape=(-2,))}, bytes(8)),
    "overflow": forge({"a": entry(shape=(2**62, 4))}, bytes(8)),
    "rank 9": forge({"a": entry(shape=(2, *[1] * 8))}, bytes(8)),
    "long name": forge({"a" * 600: entry()}, bytes(8)),
    "unknown type": forge({"a": entry(dtype="F4")}, bytes(8)),
    "type is a list": forge({"a": entry(dtype=["F32"])}, bytes(8)),
    "no shape": forge({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)),
    "metadata": forge({"__metadata__": {"a": 1}, "a": entry()}, bytes(8)),
    "not finite": forge({"a": entry()}, struct.pack("<ff", 1.0, float("nan"))),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_bad_weights(kind: str) -> None:
    with pytest.raises(InputError, match=r"model file 'm\.safetensors'") as caught:
        tensors_from_bytes(BAD_WEIGHTS[kind], Path("m.safetensors"))
    assert "\n" not in str(caught.value)


def test_good_weights_pass() -> None:
    content = forge({"a": entry(), "b": entry(offsets=(8, 16))}, bytes(16))
    check_header(content, Path("m"))
    assert set(tensors_from_bytes(content, Path("m"))) == {"a", "b"}


def test_every_truncation_is_refused(model_folder: Path) -> None:
    content = (model_folder / "transformer.safetensors").read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for cut in [*range(0, header, 37), *range(header, len(content), 4999)]:
        with pytest.raises(InputError):
            check_header(content[:cut], Path("m"))


def test_weights_of_another_net_are_refused_with_names(folder: Path) -> None:
    rewrite(folder, "transformer.safetensors", (folder / "tokenizer.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"missing \(.*, …\), \d+ unexpected"):
        load_model(folder)


def test_huge_nets_are_not_built(folder: Path) -> None:
    """A config may ask for more than there is memory; the answer comes from shapes alone."""
    change_config(folder, lambda c: c["transformer"].update(dim=2**15, num_heads=1))
    with pytest.raises(InputError):
        load_model(folder)


def test_models_are_found(model_folder: Path, tmp_path: Path) -> None:
    assert find_model(str(model_folder)) == model_folder
    assert [entry.name for entry in CATALOG] == ["storybook"]
    for spec, kind, why in (
        ("", UsageError, "is no name"),
        ("a\0b", UsageError, "is no name"),
        ("nothing", InputError, "known names: storybook"),
        (str(tmp_path / "m.pt"), InputError, "pickle checkpoints are not loaded"),
        ("a/../../b", UsageError, "neither a folder nor owner/name"),
        ("owner/name\n", UsageError, "is no name"),
        ("a" * 10_000, NuwaError, "model"),
    ):
        with pytest.raises(kind, match=why):
            find_model(spec)


def test_repository_without_network_is_an_environment_fault() -> None:
    with pytest.raises(NuwaError, match="HF_HUB_OFFLINE forbids") as caught:
        find_model("owner/name@v1")
    assert caught.value.exit_code == 5


def test_nets_are_complete_without_initial_values(model_folder: Path) -> None:
    """Building without initial values and loading gives what building with them would."""
    model = load_model(model_folder)
    for net, twin in (
        (model.transformer, Nuwa(model.config.transformer)),
        (model.tokenizer, VQGAN(model.config.tokenizer)),
    ):
        twin.load_state_dict(net.state_dict(), strict=True)
        buffers = dict(twin.named_buffers())
        for name, value in net.named_buffers():
            assert torch.equal(value, buffers[name]), name
