"""A narrower encoder: which units stay, that cutting units that do nothing changes nothing, and what is refused."""

from __future__ import annotations

import pytest
import torch

from tunewright.backbones._encoder import Encoder, Shape
from tunewright.backbones._static import TokenMean
from tunewright.compress._narrow import Worth, by_magnitude, kept, narrowed, plain_layers
from tunewright.core.errors import TunewrightError

SHAPE = Shape(vocabulary=20, width=8, layers=3, heads=4, inner=16, positions=10, types=2)


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(SHAPE).eval()


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    return {
        "input_ids": torch.randint(0, 20, (2, 4), generator=torch.Generator().manual_seed(1)),
        "attention_mask": mask,
    }


def test_heads_and_neurons_that_do_nothing_are_the_ones_that_go_and_the_states_stay(
    encoder: Encoder, inputs: dict[str, torch.Tensor]
) -> None:
    idle_heads, idle_inner = {1, 3}, set(range(0, 16, 2))
    with torch.no_grad():
        for layer in encoder.layers:
            for head in idle_heads:
                at = slice(2 * head, 2 * head + 2)
                layer.out.weight[:, at] = 0
                for part in range(3):
                    layer.qkv.weight[8 * part + 2 * head : 8 * part + 2 * head + 2] = 0
            for neuron in idle_inner:
                layer.down.weight[:, neuron] = 0
                layer.up.weight[neuron] = 0
    worth = by_magnitude(encoder)
    assert (worth.heads > 0).tolist() == [[True, False, True, False]] * 3
    small = narrowed(encoder, worth, [0, 1, 2], heads=2, inner=8)
    assert (small.shape.heads, small.shape.inner, small.shape.width_of_head) == (2, 8, 2)
    assert small.layers[0].qkv.weight.shape == (12, 8)
    assert small.layers[0].down.weight.shape == (8, 8)
    for one, other in zip(encoder(**inputs), small.eval()(**inputs), strict=True):
        torch.testing.assert_close(one, other)
    assert encoder.layers[0].qkv.weight.shape == (24, 8)


def test_layers_that_stay_are_those_named_in_their_order(encoder: Encoder, inputs: dict[str, torch.Tensor]) -> None:
    worth = Worth(torch.ones(3, 4), torch.ones(3, 16))
    small = narrowed(encoder, worth, [0, 2], heads=4, inner=16)
    assert (small.shape.layers, small.shape.head_width) == (2, 0)
    assert torch.equal(small.layers[1].up.weight, encoder.layers[2].up.weight)
    encoder.layers = torch.nn.ModuleList([encoder.layers[0], encoder.layers[2]])
    torch.testing.assert_close(small.eval()(**inputs)[0], encoder(**inputs)[0])


def test_a_layers_worth_is_that_of_all_its_units_and_ties_go_to_the_first() -> None:
    worth = Worth(torch.tensor([[1.0, 2.0], [5.0, 0.0]]), torch.tensor([[1.0], [1.0]]))
    assert worth.layers.tolist() == [4.0, 6.0]
    assert kept(torch.ones(4), 2) == [0, 1]


def test_an_encoder_of_another_make_is_refused() -> None:
    with pytest.raises(TunewrightError, match="prune cuts the layers of encoders of the BERT family, and .* TokenMean"):
        plain_layers(TokenMean(3, 2), "prune")
