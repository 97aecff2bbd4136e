"""The last layers: what moves and what does not, the lower layers run once, and every way in which they cannot."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunewright.backbones._encoder import Encoder, UpperLayers
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Ragged
from tunewright.methods import _states, probe, top
from tunewright.train import cache as caching
from tunewright.train.outputs import logits_of

Make = Callable[..., Any]
SETTINGS = {
    "fit.epochs": 4,
    "fit.learning_rate": 5e-3,
    "fit.batch_rows": 16,
    "fit.average": 0.0,
    "fit.patience": 12,
    "fit.layers": 1,
}


def said(context: Any) -> str:
    return " / ".join(record.get("say", "") for record in context.run.told)


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each batch that the lower layers were run on."""
    rows: list[int] = []
    lower = _states.Upper.lower

    def counted(part: Any, input_ids: Any, attention_mask: Any) -> Any:
        rows.append(len(input_ids))
        return lower(part, input_ids, attention_mask)

    monkeypatch.setattr(_states.Upper, "lower", counted)
    return rows


@pytest.mark.parametrize("depth", [0, 1, 2])
@torch.no_grad()
def test_lower_and_upper_layers_are_the_encoder_bit_by_bit(depth: int, make_context: Make) -> None:
    context = make_context()
    encoder = context.backbone.encoder.eval()
    assert isinstance(encoder, Encoder)
    arrays = context.backbone.modality.batch(context.train.windows, np.arange(9))
    inputs = {name: torch.from_numpy(value) for name, value in arrays.items()}
    states, mask = encoder.lower(**inputs, depth=depth)
    again, same = UpperLayers(encoder, depth)(states, inputs["attention_mask"])
    whole, wanted = encoder(**inputs)
    assert torch.equal(again, whole)
    assert torch.equal(mask, wanted)
    assert torch.equal(same, wanted)
    assert set(UpperLayers(encoder, depth).parameters()) < set(encoder.parameters())


def test_the_last_layers_and_the_head_move_and_learn_more_than_the_probe(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.epochs": 24, "fit.patience": 24})
    fitted = top.fit(context)
    before = context.backbone.encoder.state_dict()
    moved = {name for name, value in fitted.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.startswith("layers.1.")}
    size = sum(one.numel() for one in (*fitted.encoder.layers[1].parameters(), *fitted.head.parameters()))
    assert fitted.facts["trainable_parameters"] == size
    assert (fitted.facts["layers"], fitted.facts["depth"]) == (1, 1)
    scores = fitted.facts["scores"]
    assert max(scores) > scores[0] + 0.05
    truth = context.validation.truth
    assert context.kind.row_score(fitted.validation_logits, truth).mean() == pytest.approx(max(scores), abs=1e-6)
    again = logits_of(context, fitted.encoder, fitted.head, context.validation)
    np.testing.assert_allclose(fitted.validation_logits, again, atol=1e-5)


def test_it_begins_where_the_probe_ended(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.epochs": 1, "fit.learning_rate": 1e-12})
    start = context.start = probe.fit(context)
    fitted = top.fit(context)
    np.testing.assert_allclose(fitted.validation_logits, start.validation_logits, atol=1e-4)
    torch.testing.assert_close(fitted.head.state_dict(), start.head.state_dict())


def test_the_lower_layers_run_once_over_each_row(make_context: Make, runs: list[int]) -> None:
    context = make_context("classify", SETTINGS)
    first = top.fit(context)
    rows = len(context.train) + len(context.validation)
    assert sum(runs) == rows
    tokens = sum(int(part.windows.cost.sum()) for part in (context.train, context.validation))
    assert first.facts["cached_bytes"] == tokens * 32 * 4
    again = make_context("classify", SETTINGS)
    again.run.work = context.run.work
    second = top.fit(again)
    assert sum(runs) == rows, "a run that goes on reads them from the cache"
    assert same_bits(first.encoder, second.encoder)
    assert first.facts == second.facts


def test_states_that_are_only_learnt_from_are_kept_in_half_the_bytes(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.precision": "bf16", "fit.epochs": 1})
    fitted = top.fit(context)
    learnt, judged = (int(part.windows.cost.sum()) for part in (context.train, context.validation))
    assert fitted.facts["cached_bytes"] == (2 * learnt + 4 * judged) * 32
    again = logits_of(context, fitted.encoder, fitted.head, context.validation)
    np.testing.assert_allclose(fitted.validation_logits, again, atol=1e-5)


def test_a_mapped_file_gives_the_same_bits(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = top.fit(make_context("classify", SETTINGS))
    monkeypatch.setattr(caching, "MEMORY_BYTES", 100)
    context = make_context("classify", SETTINGS)
    part = _states.upper(context, "top", 1)
    states = _states.states_feed(context, part, context.train, learnt=True).windows.data["states"]
    assert isinstance(states, Ragged)
    assert isinstance(states.values, np.memmap)
    mapped = top.fit(context)
    assert same_bits(inside.encoder, mapped.encoder)
    assert inside.facts == mapped.facts


def test_without_room_for_the_states_the_lower_layers_run_with_each_step(
    make_context: Make, monkeypatch: pytest.MonkeyPatch, runs: list[int]
) -> None:
    inside = top.fit(make_context("classify", SETTINGS))
    kept = sum(runs)
    monkeypatch.setattr(caching, "MEMORY_BYTES", 100)
    context = make_context("classify", SETTINGS)
    context.cache._full = True
    without = top.fit(context)
    assert sum(runs) - kept > 3 * kept
    assert without.facts["cached_bytes"] == 0
    for name, value in without.encoder.state_dict().items():
        torch.testing.assert_close(value, inside.encoder.state_dict()[name], atol=1e-4, rtol=1e-3)


def test_lower_layers_that_would_take_too_long_run_with_each_step(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(_states, "time", SimpleNamespace(monotonic=lambda: clock.now))
    lower = _states.Upper.lower

    def slow(part: Any, input_ids: Any, attention_mask: Any) -> Any:
        clock.now += 200.0
        return lower(part, input_ids, attention_mask)

    monkeypatch.setattr(_states.Upper, "lower", slow)
    context = make_context("classify", SETTINGS | {"fit.epochs": 1})
    fitted = top.fit(context)
    assert fitted.facts["steps"] == 5
    judged = 4 * 32 * int(context.validation.windows.cost.sum())
    assert fitted.facts["cached_bytes"] == judged, "what is judged is looked at again and again"
    assert "running the lower layers once would take too much of the time: they run with each step" in said(context)
    assert not [path for path in (context.run.work / "cache").iterdir() if path.suffix == ".partial"]


def test_a_run_that_is_stopped_meanwhile_gives_the_start(make_context: Make) -> None:
    context = make_context("classify", SETTINGS)
    start = context.start = probe.fit(context)
    context.run.interrupted = True
    fitted = top.fit(context)
    assert fitted.facts["steps"] == 0
    np.testing.assert_allclose(fitted.validation_logits, start.validation_logits, atol=1e-4)


def test_every_layer_is_the_most(make_context: Make, runs: list[int]) -> None:
    fitted = top.fit(make_context("classify", SETTINGS | {"fit.layers": 2, "fit.epochs": 1}))
    assert (fitted.facts["depth"], fitted.facts["cached_bytes"]) == (0, 0)
    with pytest.raises(TunewrightError, match=r"fit.layers = 3: the backbone has 2 layers → set at most 2"):
        top.fit(make_context("classify", SETTINGS | {"fit.layers": 3}))


def test_an_encoder_without_layers_is_refused(make_context: Make) -> None:
    context = make_context("classify", SETTINGS)
    context.backbone.__dict__["encoder"] = nn.Linear(2, 2)
    context.backbone.__dict__["family"] = "stripnet"
    with pytest.raises(TunewrightError, match="'top' needs an encoder of the BERT family, which a stripnet is not →"):
        top.fit(context)


def test_a_training_goes_on_after_a_kill_with_the_same_bits(resumed: Make) -> None:
    whole, again = resumed(top, SETTINGS, 12)
    assert same_bits(whole.encoder, again.encoder)
    assert same_bits(whole.head, again.head)
