"""The shared encoder: padding changes nothing; a narrowed copy computes the same, and comes back whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._load import load
from tunewright.backbones._vocabulary import NarrowWords, narrowed, widened
from tunewright.core.sections import Fit

IDS = torch.tensor([[2, 40, 41, 3], [2, 77, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture
def encoder(tiny_backbone: Path) -> Encoder:
    loaded = load(str(tiny_backbone), Fit())[0].encoder.eval()
    assert isinstance(loaded, Encoder)
    return loaded


@torch.no_grad()
def test_padding_changes_no_state_of_a_real_token(encoder: Encoder) -> None:
    alone, _ = encoder(IDS[1:, :3], MASK[1:, :3])
    padded, _ = encoder(IDS, MASK)
    torch.testing.assert_close(padded[1:, :3], alone, atol=1e-6, rtol=0)


def test_a_narrowed_copy_computes_the_same_from_fewer_weights(encoder: Encoder) -> None:
    small = narrowed(encoder, torch.tensor([0, 2, 3, 40, 41, 77]))
    with torch.no_grad():
        torch.testing.assert_close(small(IDS, MASK)[0], encoder(IDS, MASK)[0], atol=0, rtol=0)
    assert isinstance(small.words, NarrowWords)
    assert small.words.table.weight.shape == (6, 32)
    assert isinstance(encoder.words, torch.nn.Embedding)


def test_a_narrowed_copy_comes_back_with_every_token(encoder: Encoder) -> None:
    small = narrowed(encoder, torch.tensor([0, 2, 3, 40, 41, 77]))
    with torch.no_grad():
        for one in small.parameters():
            one += 1
    whole = widened(small, encoder)
    trained = torch.zeros(encoder.words.num_embeddings, dtype=torch.bool)
    trained[[0, 2, 3, 40, 41, 77]] = True
    torch.testing.assert_close(whole.words.weight[trained], encoder.words.weight[trained] + 1)
    torch.testing.assert_close(whole.words.weight[~trained], encoder.words.weight[~trained], atol=0, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(whole(IDS, MASK)[0], small(IDS, MASK)[0], atol=0, rtol=0)
    assert [name for name, _ in whole.named_parameters()] == [name for name, _ in encoder.named_parameters()]


def test_what_was_never_narrowed_comes_back_as_it_is(encoder: Encoder) -> None:
    assert widened(encoder, encoder) is encoder
