"""The re-ranker: scores, empty text, padding, and that the contrastive loss teaches it."""

from __future__ import annotations

import torch

from nuwa_cli.model.dual_encoder import DualEncoder, DualEncoderConfig, contrastive_loss
from nuwa_cli.training.augment import augment
from nuwa_cli.training.fit import fit

TINY = DualEncoderConfig(
    text_vocab=20,
    max_text_len=6,
    text_dim=16,
    text_layers=1,
    num_heads=2,
    joint_dim=8,
    image_size=16,
    widths=(8, 16),
    depths=(1, 1),
)


def test_the_default_is_small() -> None:
    count = sum(p.numel() for p in DualEncoder(DualEncoderConfig(text_vocab=2048)).parameters())
    assert count < 1_500_000


def test_scores_are_cosines_and_padding_does_not_matter() -> None:
    torch.manual_seed(0)
    model = DualEncoder(TINY).eval()
    pixels = torch.rand(3, 3, 40, 24) * 2 - 1
    short, padded = torch.tensor([[5, 6, 1]]), torch.tensor([[5, 6, 1, 0, 0, 0]])
    scores = model.score(short, pixels)
    assert scores.shape == (3,) and scores.abs().max() <= 1 + 1e-6
    torch.testing.assert_close(scores, model.score(padded, pixels))
    torch.testing.assert_close(scores[1:2], model.score(short, pixels[1:2]))


def test_empty_text_is_finite_beside_other_rows() -> None:
    model = DualEncoder(TINY).eval()
    vectors = model.encode_text(torch.tensor([[0, 0, 0], [4, 5, 1]]))
    assert vectors.isfinite().all() and vectors[0].norm() < 1e-6
    torch.testing.assert_close(vectors[1:], model.encode_text(torch.tensor([[4, 5, 1]])))


def test_same_labels_are_no_negatives() -> None:
    logits = torch.tensor([[2.0, 5.0], [5.0, 2.0]])
    assert contrastive_loss(logits, torch.tensor([3, 3])) == 0
    assert contrastive_loss(logits, torch.tensor([3, 4])) > 3


def test_it_learns_which_colour_belongs_to_which_word() -> None:
    torch.manual_seed(0)
    model = DualEncoder(TINY)
    words = torch.arange(6) % 3
    texts = torch.stack([words + 5, torch.ones(6, dtype=torch.int64)], dim=1)
    pixels = torch.full((6, 3, 16, 16), -0.5)
    pixels[torch.arange(6), words] = 0.5

    def loss_of(rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        noise = torch.randn(len(rows), 3, 16, 16, generator=generator) * 0.1
        return contrastive_loss(model(texts[rows], pixels[rows] + noise), words[rows])

    fit(model, loss_of, 6, steps=40, batch_size=6, learning_rate=3e-3)
    with torch.no_grad():
        best = model(texts[:3], pixels[:3]).argmax(1)
    assert best.tolist() == [0, 1, 2]


def test_augmentation_keeps_shape_range_and_is_a_function_of_its_generator() -> None:
    clips = torch.rand(8, 2, 3, 24, 24) * 2 - 1
    first, again, other = (
        augment(clips, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == clips.shape and first.abs().max() <= 1
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(
        augment(clips[:1], torch.Generator().manual_seed(3)).isfinite(), clips[:1] > -2
    )
