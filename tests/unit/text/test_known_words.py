"""Which words of a prompt the captions never had, in English and in Chinese."""

from __future__ import annotations

import pytest

from nuwa_cli.tokenizer.text import TextTokenizer

CAPTIONS = [
    "a fox runs on the grass",
    "an elephant swims in the sea",
    "一只狐狸在草地上跑步",
    "打高尔夫的人在草地上跑步",
    "大象在海里游泳",
    "一只大象在草地上",
    "人在海里",
]


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.train(CAPTIONS, 300, known=["高尔夫球", "golf ball"])


def test_every_caption_is_known(tokenizer: TextTokenizer) -> None:
    assert [tokenizer.unknown_words(text) for text in CAPTIONS] == [[]] * len(CAPTIONS)


def test_unknown_english_words_come_with_neighbours(tokenizer: TextTokenizer) -> None:
    assert tokenizer.unknown_words("An elefant, elefant zxqv 42!") == [
        ("elefant", ["elephant"]),
        ("zxqv", []),
    ]


def test_unknown_chinese_stretches(tokenizer: TextTokenizer) -> None:
    assert tokenizer.unknown_words("在草地上打高尔夫球") == []
    [(word, nearest)] = tokenizer.unknown_words("一只长颈鹿在草地上")
    assert word == "长颈鹿" and nearest == []
    [(word, nearest)] = tokenizer.unknown_words("一只狸猫")
    assert (word, nearest[0]) == ("狸猫", "狐狸")


def test_a_character_glued_to_others_is_no_word(tokenizer: TextTokenizer) -> None:
    [(word, nearest)] = tokenizer.unknown_words("尔")
    assert word == "尔" and all("尔" in near for near in nearest)
    assert tokenizer.unknown_words("高尔夫") == []


def test_known_words_of_the_catalog_count(tokenizer: TextTokenizer) -> None:
    assert tokenizer.unknown_words("golf ball") == []


def test_words_that_draw_nothing_are_no_news(tokenizer: TextTokenizer) -> None:
    assert tokenizer.unknown_words("the fox is with an elephant") == []
