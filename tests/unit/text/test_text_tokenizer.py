"""The byte-level BPE: round trips, determinism, padding, damage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.tokenizer.bpe import learn_merges
from nuwa_cli.tokenizer.text import EOT, FIRST_MERGE, PAD, TextTokenizer, normalize

CAPTIONS = [
    "A fox runs on the grass.",
    "A golfer plays golf on the beach",
    "the fox sleeps on the beach at night",
    "一只狐狸在草地上奔跑",
    "打高尔夫的人在海滩上",
    "一只狐狸在海滩上睡觉",
] * 5


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.train(CAPTIONS, 400, known=["fox", "狐狸", "高尔夫"])


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_every_text_survives_up_to_normalization(text: str) -> None:
    small = TextTokenizer.train(CAPTIONS[:6], 300)
    ids = small.encode(text)
    assert small.decode(ids) == normalize(text)
    assert all(0 < index < small.vocab_size for index in ids)
    assert (ids == []) == (normalize(text) == "")


def test_training_captions_become_short_and_words_are_position_free(
    tokenizer: TextTokenizer,
) -> None:
    assert len(tokenizer.encode("A fox runs on the grass.")) == 8  # six words, a dot, the end
    fox = tokenizer.encode("fox")[0]
    assert fox in tokenizer.encode("a fox") and fox in tokenizer.encode("  FOX  runs")
    assert tokenizer.encode("狐")[0] in tokenizer.encode("在狐狸上")


def test_merges_never_join_chinese_characters(tokenizer: TextTokenizer) -> None:
    assert len(tokenizer.encode("一只狐狸")) == 4 + 1


def test_same_texts_in_any_order_give_the_same_file(tmp_path: Path) -> None:
    for name, texts in (("a", CAPTIONS), ("b", CAPTIONS[::-1])):
        TextTokenizer.train(texts, 400).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_loaded_equals_saved(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "text.json")
    loaded = TextTokenizer.load(tmp_path / "text.json")
    for text in (*CAPTIONS[:6], "zxqv blorp", "打高尔夫球"):
        assert loaded.encode(text) == tokenizer.encode(text)
        assert loaded.unknown_words(text) == tokenizer.unknown_words(text)
    assert loaded.vocab_size == tokenizer.vocab_size == 400


def test_batches_are_padded_and_truncation_is_reported(tokenizer: TextTokenizer) -> None:
    batch = tokenizer.encode_batch(["", "a fox", "the fox sleeps on the beach"], max_len=5)
    assert batch.shape == (3, 5) and batch.dtype == torch.int64
    assert batch[0].eq(PAD).all()
    assert batch[1].tolist()[2:] == [EOT, PAD, PAD]
    assert batch[2, -1] == EOT
    assert tokenizer.dropped_text("the fox sleeps on the beach", 5) == "the beach"
    assert tokenizer.dropped_text("a fox", 5) == ""


def test_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(UsageError, match="vocab_size '100'"):
        TextTokenizer.train(CAPTIONS, 100)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d | {"format": "other"},
        lambda d: d | {"format_version": 99},
        lambda d: d | {"merges": [[FIRST_MERGE + 5, 3], *d["merges"]]},
        lambda d: d | {"vocab_size": 258},
        lambda d: d | {"words": [1]},
        lambda d: list(d),
    ],
)
def test_damaged_files_are_refused(tokenizer: TextTokenizer, tmp_path: Path, damage) -> None:
    path = tmp_path / "text.json"
    tokenizer.save(path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=r"text\.json"):
        TextTokenizer.load(path)
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        TextTokenizer.load(path)
    with pytest.raises(InputError):
        TextTokenizer.load(tmp_path / "absent.json")


def test_learning_is_greedy_by_frequency_and_bounded() -> None:
    merges = learn_merges(
        {b"abab": 3, b"ab": 1, b"cd": 2}, 10, byte_offset=0, first_id=256, max_bytes=4
    )
    assert merges == [(97, 98), (256, 256), (99, 100)]
    short = learn_merges({b"abab": 3}, 10, byte_offset=0, first_id=256, max_bytes=2)
    assert short == [(97, 98)]
