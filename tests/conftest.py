"""What every test may rely on: one thread, no network, no user folders, a tiny model folder."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "robustness"))
pytest_plugins = [
    "fault_rows"
]  # here: a parallel run prints its summary where only this file is read

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")  # before torch is imported
# Hundreds of processes load the same modules: one of them compiles, whatever the machine's habits.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """What was imported until now stays; a test that calls the garbage collector need not wait for it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def isolated_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crash logs, settings and caches are those of the test's own folder."""
    folders = ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "HF_HOME")
    for name in folders:
        monkeypatch.setenv(name, str(tmp_path / "user" / name.lower()))
    for name in os.environ:
        if name.startswith("NUWA_") and name != "NUWA_CASES":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def command() -> str:
    """The installed program, beside the interpreter that runs the tests."""
    return str(Path(sys.executable).with_name("nuwa"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that commands run in."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights of the preset `test`, with all optional nets."""
    import torch

    from nuwa_cli.config import SamplingConfig
    from nuwa_cli.hub.model_dir import ModelConfig, save_model
    from nuwa_cli.model.dual_encoder import DualEncoder, DualEncoderConfig
    from nuwa_cli.model.nuwa import Nuwa
    from nuwa_cli.presets import get_preset
    from nuwa_cli.tokenizer.text import TextTokenizer
    from nuwa_cli.tokenizer.vqgan import VQGAN
    from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg

    folder = tmp_path_factory.mktemp("models") / "tiny"
    preset = get_preset("test")
    captions = ["a dog runs on the beach", "play golf on grass", "在草地上打高尔夫球"]
    text = TextTokenizer.train(captions, preset.transformer.text_vocab)
    text_path = folder.with_name("text.json")
    text.save(text_path)
    reranker = DualEncoderConfig(
        text_vocab=preset.transformer.text_vocab,
        text_dim=16,
        text_layers=1,
        joint_dim=8,
        image_size=32,
        widths=(8, 16),
        depths=(1, 1),
    )
    config = ModelConfig(
        name="tiny",
        tokenizer=preset.tokenizer,
        transformer=preset.transformer,
        sketch_tokenizer=preset.sketch_tokenizer,
        reranker=reranker,
        num_frames=preset.num_frames,
        fps=preset.fps,
        defaults=SamplingConfig(top_k=20, guidance_scale=2.0, place_temperature=1.1),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(
            folder,
            config=config,
            tokenizer=VQGAN(preset.tokenizer),
            transformer=Nuwa(preset.transformer),
            text_json=text_path,
            sketch_tokenizer=VQGANSeg(preset.sketch_tokenizer),
            reranker=DualEncoder(reranker),
            card="# tiny\n",
        )
    return folder
