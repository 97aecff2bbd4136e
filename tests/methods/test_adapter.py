"""Adapters: where they stand, how many numbers they have, and that they ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import TunewrightError
from tunewright.methods import adapter
from tunewright.methods._partial import shared_layers
from tunewright.train.hand_over import to_hf, to_onnx

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 1, "fit.learning_rate": 2e-2, "fit.batch_rows": 16, "fit.average": 0.0}


def adapted(context: Any, inner: int) -> Any:
    encoder = shared_layers(context, "adapter")
    adapter.insert(encoder, inner)
    return encoder.eval()


def test_it_begins_nearly_as_the_identity(make_context: Make) -> None:
    context = make_context()
    ids = torch.randint(5, 90, (2, 9))
    with torch.no_grad():
        before = context.backbone.encoder.eval()(ids, torch.ones_like(ids))[0]
        after = adapted(context, 64)(ids, torch.ones_like(ids))[0]
    difference = (after - before).abs().max()
    assert 0 < difference < 1e-3


def test_a_layer_is_that_of_the_paper(make_context: Make) -> None:
    """Each bottleneck stands behind a projection and before its residual: the layer, written out by hand."""
    context = make_context()
    layer = adapted(context, 5).layers[0]
    with torch.no_grad():
        for one in (layer.out, layer.down):
            for parameter in one.adapter.parameters():
                torch.nn.init.normal_(parameter)
        flat, bias = torch.randn(6, 32), torch.zeros(1, 1, 1, 6)

        def behind(module: Any, states: torch.Tensor) -> torch.Tensor:
            low = states @ module.adapter.down.weight.T + module.adapter.down.bias
            return states + functional.gelu(low) @ module.adapter.up.weight.T + module.adapter.up.bias

        attended = behind(layer.out, layer.attend(flat, bias) @ layer.out.weight.T + layer.out.bias)
        middle = layer.attention_norm(flat + attended)
        inner = behind(layer.down, functional.gelu(layer.up(middle)) @ layer.down.weight.T + layer.down.bias)
        torch.testing.assert_close(layer(flat, bias), layer.norm(middle + inner), atol=1e-4, rtol=1e-4)


def test_the_count_is_that_of_the_paper(make_context: Make) -> None:
    """2 m d + d + m for each of two bottlenecks in a layer, and 2 d for each norm."""
    context = make_context("classify", SETTINGS | {"fit.size": 6})
    shape = context.backbone.encoder.shape
    fitted = adapter.fit(context)
    bottlenecks = 2 * shape.layers * (2 * 6 * shape.width + shape.width + 6)
    assert fitted.facts["encoder_parameters"] == bottlenecks + (2 * shape.layers + 1) * 2 * shape.width
    assert (fitted.facts["adapter_width"], fitted.facts["added_tensors"]) == (6, 8 * shape.layers)


def test_adapters_and_norms_move_and_nothing_else(make_context: Make, last_is_best: None) -> None:
    context = make_context("classify", SETTINGS)
    fitted = adapter.fit(context)
    before, after = context.backbone.encoder.state_dict(), fitted.encoder.state_dict()
    moved = {name for name in before if not torch.equal(after[name], before[name])}
    assert moved == {name for name in before if "norm." in name}
    untrained = adapted(context, adapter.WIDTH).state_dict()
    added = set(after) - set(before)
    assert len(added) == fitted.facts["added_tensors"] > 0
    assert not any(torch.equal(after[name], untrained[name]) for name in added)


def test_another_encoder_is_refused(with_other: Make) -> None:
    problem = r"method 'adapter' does not fit backbone '.*': its encoder \(Other\) is not one of the BERT family"
    with pytest.raises(TunewrightError, match=problem + " → use --method lora or --method full"):
        adapter.fit(with_other())


def test_the_bundle_says_what_was_trained_and_has_no_form_in_transformers(ship: Make, tmp_path: Path) -> None:
    bundle = ship("adapter")
    problem = "method 'adapter' adds tensors to the encoder that a bert model of transformers has no place for"
    with pytest.raises(TunewrightError, match=problem + " → use --to onnx"):
        to_hf(bundle, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
    assert (to_onnx(bundle, tmp_path / "onnx") / "encoder.text.onnx").is_file()
