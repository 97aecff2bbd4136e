"""Activations computed again on the way back: the same bits from less memory, when asked for and when need be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from tunewright.backbones._encoder import Encoder, Shape, UpperLayers
from tunewright.backbones._module import ModuleEncoder
from tunewright.core.errors import TunewrightError
from tunewright.methods.prefix import PrefixedLayer
from tunewright.methods.prompt import PromptedEncoder
from tunewright.train.course import Model
from tunewright.train.loop import descend
from tunewright.train.recompute import LONG, MANY, Recompute

Make = Callable[..., Any]
SHAPE = Shape(vocabulary=50, width=16, layers=4, heads=2, inner=32, positions=64, types=2, dropout=0.3)
IDS = torch.arange(2 * 48).view(2, 48) % 50
MASK = (torch.arange(48) < torch.tensor([[48], [31]])).long()
LEARNING = {"fit.epochs": 2, "fit.learning_rate": 3e-3, "fit.batch_rows": 8, "fit.average": 0.0}


def own() -> nn.Module:
    return Encoder(SHAPE)


def prefixed() -> nn.Module:
    encoder = Encoder(SHAPE)
    for at, layer in enumerate(encoder.layers):
        encoder.layers[at] = PrefixedLayer(layer, torch.randn(2, 3, 8), torch.randn(2, 3, 8))  # type: ignore[arg-type]
    return encoder


def prompted() -> nn.Module:
    return PromptedEncoder(Encoder(SHAPE), torch.randn(5, 16))


def of_transformers() -> nn.Module:
    from transformers import ElectraConfig, ElectraModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    return ModuleEncoder(ElectraModel(ElectraConfig(vocab_size=50, embedding_size=8, **sizes)), 16)


def stepped(encoder: nn.Module, recompute: bool) -> tuple[dict[str, Tensor], Tensor, int]:
    """Gradients of one step with dropout, the draws after it, and the bytes that were kept for the way back."""
    seen: dict[int, int] = {}
    weights = {one.untyped_storage().data_ptr() for one in encoder.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    encoder.train().zero_grad(set_to_none=True)
    encoder.recompute = recompute  # type: ignore[assignment]
    torch.manual_seed(7)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        states, mask = encoder(input_ids=IDS, attention_mask=MASK)
    (states * mask.unsqueeze(-1)).square().sum().backward()
    encoder.recompute = False  # type: ignore[assignment]
    gradients = {name: one.grad for name, one in encoder.named_parameters() if one.grad is not None}
    return gradients, torch.rand(4), sum(seen.values())


@pytest.mark.parametrize("make", [own, prefixed, prompted, of_transformers])
def test_gradients_are_the_same_bits_from_less_memory(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    encoder = make()
    kept, draws, most = stepped(encoder, recompute=False)
    again, same_draws, least = stepped(encoder, recompute=True)
    assert set(kept) == set(again)
    assert all(torch.equal(one, again[name]) for name, one in kept.items())
    assert torch.equal(draws, same_draws), "later steps draw what they would have drawn"
    assert least < 0.35 * most
    assert all(one.any() for name, one in kept.items() if name.endswith("weight"))


def test_upper_layers_too() -> None:
    torch.manual_seed(0)
    upper = UpperLayers(Encoder(SHAPE), 1).train()
    gradients = []
    for recompute in (False, True):
        upper.zero_grad(set_to_none=True)
        upper.recompute = recompute
        torch.manual_seed(7)
        upper(torch.randn(2, 48, 16), MASK)[0].square().sum().backward()
        gradients.append([one.grad for one in upper.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))  # type: ignore[arg-type]


def test_a_module_that_cannot_says_so() -> None:
    from transformers import AlbertConfig, AlbertModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    albert = ModuleEncoder(AlbertModel(AlbertConfig(vocab_size=50, embedding_size=8, **sizes)), 16)
    assert albert.recompute is None
    problem = "fit.recompute = 'on': the model to be trained has no layers that can be computed again → leave it out"
    with pytest.raises(TunewrightError, match=problem):
        Recompute("on", albert)
    assert not Recompute("auto", albert).insist()


@pytest.mark.parametrize(
    ("setting", "short", "long"), [("auto", False, True), ("on", True, True), ("off", False, False)]
)
def test_it_goes_by_the_tokens_of_a_window_and_of_all_at_once(setting: str, short: bool, long: bool) -> None:
    model = Model(Encoder(SHAPE), nn.Identity())
    recompute = Recompute(setting, model)
    few, many = np.full(MANY // 50 - 1, 50), np.full(MANY // 50, 50)
    cases = ((np.array([LONG - 1]), short), (np.array([3, LONG]), long), (few, short), (many, long))
    for tokens, wanted in cases:
        with recompute.of_windows(tokens):
            assert model.encoder.recompute == wanted
        assert model.encoder.recompute is False, "nothing is left of it for the export"


def test_a_whole_training_has_the_same_bits(make_context: Make) -> None:
    states = []
    for setting in ("off", "on"):
        context = make_context("classify", LEARNING | {"fit.recompute": setting})
        model = Model(context.copy_of_encoder(), context.new_head())
        _, facts = descend(context.course("full", model), model)
        assert facts["steps"] == 20
        states.append(model.state_dict())
    assert all(torch.equal(one, states[1][name]) for name, one in states[0].items())


def hungry(context: Any, model: Model) -> Any:
    """A course that runs out of memory wherever activations are kept."""
    course = context.course("full", model)

    def step(model: Any, piece: Any) -> Tensor:
        if not model.encoder.recompute:
            raise MemoryError
        return course.step(model, piece)  # type: ignore[no-any-return]

    return replace(course, step=step)


def test_where_single_windows_are_too_large_activations_are_computed_again(make_context: Make) -> None:
    context = make_context("classify", LEARNING | {"fit.epochs": 1})
    model = Model(context.copy_of_encoder(), context.new_head())
    _, facts = descend(hungry(context, model), model)
    assert (facts["steps"], facts["stopped"]) == (10, "epochs")
    said = [record["say"] for record in context.run.told if record["event"] == "memory"]
    assert said[0] == "out of memory: going on with pieces of 1024 tokens instead of twice that"
    assert said[-1] == "out of memory: going on with activations that are computed again instead of kept"
    assert sum("activations" in one for one in said) == 1


def test_where_that_is_forbidden_there_is_nothing_left(make_context: Make) -> None:
    context = make_context("classify", LEARNING | {"fit.epochs": 1, "fit.recompute": "off"})
    model = Model(context.copy_of_encoder(), context.new_head())
    with pytest.raises(MemoryError):
        descend(hungry(context, model), model)
