"""Prefix: attention over trained keys and values as the library computes it, and what of it ships."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import TunewrightError
from tunewright.methods import prefix
from tunewright.methods._partial import shared_layers
from tunewright.train.hand_over import to_hf

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 1, "fit.learning_rate": 2e-2, "fit.batch_rows": 16, "fit.average": 0.0}


def padded(rows: int, tokens: int, real: int) -> torch.Tensor:
    """What is added to the scores of ``rows`` rows, the last of which has ``real`` tokens."""
    bias = torch.zeros(rows, 1, 1, tokens)
    bias[-1, :, :, real:] = -1e4
    return bias


def test_a_layer_attends_as_the_library_does(make_context: Make) -> None:
    layer = make_context().backbone.encoder.layers[0].eval()
    keys, values = torch.randn(2, 2, 5, 16).unbind()
    prefixed = prefix.PrefixedLayer(layer, keys, values).eval()
    flat, bias = torch.randn(3 * 7, 32), padded(3, 7, 4)
    with torch.no_grad():
        query, key, value = (
            one.view(3, 7, 2, 16).transpose(1, 2)
            for one in functional.linear(flat, layer.qkv.weight, layer.qkv.bias).chunk(3, 1)
        )
        key, value = (
            torch.cat([keys.expand(3, -1, -1, -1), key], 2),
            torch.cat([values.expand(3, -1, -1, -1), value], 2),
        )
        mask = torch.cat([torch.zeros(3, 1, 1, 5), bias], 3).expand(-1, -1, 7, -1)
        expected = functional.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).reshape(21, 32)
        torch.testing.assert_close(prefixed.attend(flat, bias), expected, atol=1e-5, rtol=1e-5)
        assert prefixed(flat, bias).shape == flat.shape


def test_a_prefix_of_length_zero_is_the_layer_itself(make_context: Make) -> None:
    layer = make_context().backbone.encoder.layers[0].eval()
    empty = prefix.PrefixedLayer(layer, torch.empty(2, 0, 16), torch.empty(2, 0, 16)).eval()
    flat, bias = torch.randn(14, 32), padded(2, 7, 4)
    torch.testing.assert_close(empty(flat, bias), layer(flat, bias))


def test_it_begins_as_keys_and_values_of_real_tokens(make_context: Make) -> None:
    """Each of the drawn ones is that of a token of a training row which the encoder reads alone."""
    context = make_context(intents=2)
    encoder = shared_layers(context, "prefix").eval()
    found = prefix.beginnings(context, encoder, 12)
    ids = [torch.from_numpy(row.astype(np.int64))[None] for row in context.train.windows.data["input_ids"]]
    for depth, (keys, values) in enumerate(found):
        assert keys.shape == values.shape == (2, 12, 16)
        known = []
        for row in ids:
            with torch.no_grad():
                states, _ = encoder.lower(row, torch.ones_like(row), depth)
                known.append(encoder.layers[depth].qkv(states[0])[:, 32:])
        wanted = torch.cat([keys.transpose(0, 1).reshape(12, 32), values.transpose(0, 1).reshape(12, 32)], 1)
        assert torch.cdist(wanted, torch.cat(known)).min(1).values.max() < 1e-3


def test_the_prefix_moves_and_nothing_of_the_backbone(make_context: Make, last_is_best: None) -> None:
    context = make_context("classify", SETTINGS | {"fit.size": 6})
    fitted = prefix.fit(context)
    before, after = context.backbone.encoder.state_dict(), fitted.encoder.state_dict()
    assert all(after[name].data_ptr() == value.data_ptr() for name, value in before.items())
    added = set(after) - set(before)
    assert added == {f"layers.{at}.prefix_{what}" for at in range(2) for what in ("keys", "values")}
    begun = prefix.beginnings(context, context.backbone.encoder, 6)
    for at, (keys, values) in enumerate(begun):
        assert not torch.equal(after[f"layers.{at}.prefix_keys"], keys)
        assert not torch.equal(after[f"layers.{at}.prefix_values"], values)
    assert fitted.facts["encoder_parameters"] == 2 * len(begun) * 6 * 32
    assert (fitted.facts["prefix_length"], fitted.facts["added_tensors"]) == (6, 4)


def test_padding_changes_no_row(make_context: Make) -> None:
    encoder = prefix.fit(make_context("classify", SETTINGS)).encoder.eval()
    ids = torch.randint(5, 90, (2, 9))
    mask = torch.tensor([[1] * 9, [1] * 4 + [0] * 5])
    with torch.no_grad():
        states, seen = encoder(ids * mask, mask)
        alone, _ = encoder(ids[1:, :4], mask[1:, :4])
    assert torch.equal(seen, mask.float())
    torch.testing.assert_close(states[1:, :4], alone, atol=1e-5, rtol=1e-4)


def test_another_encoder_is_refused(with_other: Make) -> None:
    with pytest.raises(TunewrightError, match="method 'prefix' does not fit backbone .* → use --method lora or"):
        prefix.fit(with_other())


def test_the_bundle_says_what_was_trained_and_has_no_form_in_transformers(ship: Make, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="method 'prefix' adds tensors to the encoder"):
        to_hf(ship("prefix"), tmp_path / "hf")
