"""Contrastive: the pairs that are drawn, what they do to the embeddings, and when the plain probe is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Windows
from tunewright.methods import _schedule, contrastive, probe
from tunewright.methods._pairs import LEAST, Contrast, Pairs, cropped, nearest_others
from tunewright.objectives.supcon import contrast
from tunewright.train.outputs import logits_of

Make = Callable[..., Any]
PASSES = 12
SETTINGS = {"fit.learning_rate": 5e-3}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 16 rows, more of them than a trained encoder needs, and validation rows enough to judge by."""
    monkeypatch.setattr(_schedule, "BATCH", 16)
    monkeypatch.setattr(_schedule, "PASSES", (PASSES, PASSES))
    monkeypatch.setattr(contrastive, "JUDGES", 1)


def said(context: Any) -> str:
    return " / ".join(record.get("say", "") for record in context.run.told)


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def pairs_of(truth: list[int], *, rows: int = 8, steps: int = 6, near: Any = None, **other: Any) -> Pairs:
    wanted = np.array(truth)
    count = len(wanted)
    cost = other.pop("cost", np.full(count, 10))
    chosen = other.pop("chosen", np.arange(count))
    near = np.zeros((len(chosen), 0), np.int64) if near is None else near
    windows = Windows(count, np.arange(count), cost, {})
    return Pairs(windows, wanted, lambda *_: {}, chosen=chosen, near=near, steps=steps, rows=rows, **other)


def drawn(pairs: Pairs, seed: int = 0) -> Any:
    """(batches, rows / 2, 2)"""
    batches = pairs.epoch(pairs.rows, np.random.default_rng(seed))
    assert len(batches) == pairs.steps == -(-len(pairs) // pairs.rows)
    return np.stack(batches).reshape(pairs.steps, -1, 2)


def test_the_two_of_a_pair_are_different_rows_of_one_class() -> None:
    pairs = pairs_of([0, 1, 0, 2, 1, 0, 2, 2, 2, 1])
    one, other = np.moveaxis(drawn(pairs), -1, 0)
    truth = np.asarray(pairs.wanted)
    np.testing.assert_array_equal(truth[one], truth[other])
    assert (one != other).all()
    met = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    everyone = pairs_of(truth.tolist(), steps=200)
    many = set(map(tuple, drawn(everyone).reshape(-1, 2).tolist()))
    assert many == {(a, b) for a in range(10) for b in range(10) if a != b and truth[a] == truth[b]}
    assert met < many


def test_every_row_comes_first_before_any_does_so_again() -> None:
    firsts = drawn(pairs_of([0, 1] * 5, steps=5))[..., 0].reshape(2, 10)
    assert [sorted(some) for some in firsts.tolist()] == [list(range(10))] * 2
    assert firsts[0].tolist() != firsts[1].tolist()


@pytest.mark.parametrize("count", [5, 8])
def test_where_a_batch_holds_all_rows_each_comes_once(count: int) -> None:
    pairs = pairs_of([0, 1, 0, 2, 1, 0, 2, 1][:count], rows=8, steps=3)
    batches = pairs.epoch(pairs.rows, np.random.default_rng(0))
    assert [sorted(one.tolist()) for one in batches] == [list(range(count))] * 3
    assert len(pairs) == 3 * count
    for part, weights in pairs.pieces(batches[0], 20):
        assert len(part) >= min(count, LEAST)
        np.testing.assert_allclose(weights, 1 / count)


def test_a_row_alone_in_its_class_is_paired_with_itself() -> None:
    for one, other in drawn(pairs_of([0, 0, 1], rows=2)).reshape(-1, 2).tolist():
        assert (one == other) == (one == 2)


def test_rows_that_are_hard_to_tell_apart_come_together() -> None:
    near = (np.arange(12)[:, None] + 6) % 12
    firsts = drawn(pairs_of([0] * 6 + [1] * 6, near=near, steps=3))[..., 0].ravel()
    assert (np.abs(firsts[0::2] - firsts[1::2]) == 6).all()


def test_pairs_are_made_of_the_chosen_windows_alone() -> None:
    chosen = np.array([1, 3, 5, 6])
    found = drawn(pairs_of([0, 0, 1, 0, 2, 1, 1], chosen=chosen, rows=2))
    assert {frozenset(pair) for pair in found.reshape(-1, 2).tolist()} == {frozenset({1, 3}), frozenset({5, 6})}


def test_the_same_draws_give_the_same_pairs() -> None:
    pairs = pairs_of([0, 1] * 8)
    np.testing.assert_array_equal(drawn(pairs), drawn(pairs))
    assert (drawn(pairs) != drawn(pairs, seed=1)).any()


@pytest.mark.parametrize(("budget", "room", "count"), [(10**6, 1, 1), (480, 1, 2), (240, 2, 2), (240, 1, 4), (1, 1, 6)])
def test_a_batch_is_cut_into_like_pieces_of_whole_pairs(budget: int, room: int, count: int) -> None:
    pairs = pairs_of([0, 0, 1, 1, 2, 2] * 8, cost=np.array([5, 5, 50, 50, 5, 5] * 8), room=room)
    index = np.arange(48)[::-1]
    pieces = list(pairs.pieces(index, budget))
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in pieces]), index)
    np.testing.assert_allclose(np.concatenate([weights for _, weights in pieces]), 1 / 48)
    assert len(pieces) == count
    assert all(len(rows) % 2 == 0 and len(rows) >= 2 * LEAST for rows, _ in pieces)


def test_nearest_others_against_a_plain_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.methods._pairs.BLOCK", 7)
    draws = np.random.default_rng(0)
    vectors = draws.normal(size=(20, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    truth = draws.integers(0, 3, 20)
    found = nearest_others(vectors, truth, 4)
    for row in range(20):
        others = [at for at in range(20) if truth[at] != truth[row]]
        wanted = sorted(others, key=lambda at: -float(vectors[row] @ vectors[at]))[:4]
        assert found[row].tolist() == wanted
    alone = nearest_others(vectors[:4], np.array([0, 0, 0, 1]), 2)
    assert alone[0].tolist() == [3, 0], "where others are fewer, the row itself stands"
    assert nearest_others(vectors[:1], truth[:1], 2).tolist() == [[0, 0]]


def test_the_loss_is_the_supervised_contrastive_one() -> None:
    vectors = nn.functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    truth = torch.tensor([0, 0, 1, 1, 1, 2])
    torch.testing.assert_close(Contrast.loss(vectors, truth), contrast(vectors, truth, 0.2))


def gap(context: Any, encoder: nn.Module) -> float:
    """Mean cosine of training rows of one class less that of rows of two classes."""
    from tunewright.train.outputs import frozen

    windows, modality = context.train.windows, context.backbone.modality
    vectors = np.stack(frozen(encoder, Contrast(context.backbone.pooling), modality, windows, context.device))
    same = context.train.truth[:, None] == context.train.truth
    cosines = vectors @ vectors.T
    return float(cosines[same & ~np.eye(len(same), dtype=bool)].mean() - cosines[~same].mean())


def worth(context: Any, fitted: Any) -> float:
    return float(context.kind.row_score(fitted.validation_logits, context.validation.truth).mean())


@pytest.fixture
def always_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was tuned scores nothing on the validation part."""
    scores = iter([1.0, 0.5])
    monkeypatch.setattr(contrastive, "_score", lambda *_: next(scores))


def test_rows_of_a_class_come_together_and_the_model_is_what_it_tells(make_context: Make) -> None:
    context = make_context("classify", SETTINGS)
    plain = context.start = probe.fit(context)
    fitted = contrastive.fit(context)
    if fitted.facts["tuned"]:
        assert gap(context, fitted.encoder) > gap(context, context.backbone.encoder) + 0.03
    assert worth(context, fitted) >= worth(context, plain)
    again = logits_of(context, fitted.encoder, fitted.head, context.validation)
    np.testing.assert_allclose(fitted.validation_logits, again, atol=1e-4)


def test_a_tie_goes_to_what_was_tuned(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrastive, "_score", lambda *_: 0.5)
    context = make_context("classify", SETTINGS)
    fitted = contrastive.fit(context)
    assert (fitted.facts["tuned"], fitted.facts["scores"]) == (True, [0.5, 0.5])
    assert gap(context, fitted.encoder) > gap(context, context.backbone.encoder) + 0.03
    before = context.backbone.encoder.state_dict()
    moved = {name for name, value in fitted.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if name.startswith("layers.")}, "the tables stay as they are"
    head = sum(one.numel() for one in fitted.head.parameters())
    layers = sum(one.numel() for one in fitted.encoder.layers.parameters())
    assert fitted.facts["trainable_parameters"] == head + layers
    assert all(one.requires_grad for one in fitted.encoder.parameters()), "a later training moves them all"
    again = logits_of(context, fitted.encoder, fitted.head, context.validation)
    np.testing.assert_allclose(fitted.validation_logits, again, atol=1e-4)


def test_where_the_plain_probe_is_better_it_is_kept(make_context: Make, always_worse: None) -> None:
    context = make_context("classify", SETTINGS)
    plain = context.start = probe.fit(context)
    fitted = contrastive.fit(context)
    assert fitted.method == "contrastive"
    assert fitted.facts["tuned"] is False
    assert fitted.encoder is context.backbone.encoder
    assert same_bits(fitted.head, plain.head)
    np.testing.assert_array_equal(fitted.validation_logits, plain.validation_logits)
    assert fitted.refit is not None
    assert plain.refit is not None
    again = fitted.refit()
    assert again.method == "contrastive"
    assert same_bits(again.head, plain.refit().head)


def fed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each training."""
    rows: list[int] = []
    descend = contrastive.descend

    def watched(course: Any, model: Any) -> Any:
        rows.append(course.feed.windows.rows)
        return descend(course, model)

    monkeypatch.setattr(contrastive, "descend", watched)
    return rows


def test_only_the_probe_is_fitted_again_on_all_rows(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrastive, "_score", lambda *_: 0.5)
    rows = fed(monkeypatch)
    context = make_context("classify", SETTINGS)
    fitted = contrastive.fit(context)
    solved: list[Any] = []
    solver = probe.SOLVERS["logistic"]
    told = {"logistic": lambda *given: solved.append(given[:2]) or solver(*given)}  # type: ignore[func-returns-value]
    monkeypatch.setattr(probe, "SOLVERS", told)
    assert fitted.refit is not None
    again = fitted.refit()
    assert rows == [80]
    assert again.facts == fitted.facts
    assert same_bits(again.encoder, fitted.encoder)
    assert not same_bits(again.head, fitted.head)
    ((vectors, truth),) = solved
    assert len(vectors) == 120
    assert truth.tolist() == [*context.train.truth.tolist(), *context.validation.truth.tolist()]
    np.testing.assert_array_equal(again.validation_logits, fitted.validation_logits)


@pytest.mark.parametrize(("whole", "share"), [(768, 20 / 80), (40, 20 / 40)])
def test_a_step_of_a_part_of_the_rows_goes_a_part_of_the_way(
    whole: int, share: float, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"BATCH": 20, "WHOLE": whole, "PASSES": (3, 3), "MOST": 240}.items():
        monkeypatch.setattr(_schedule, name, value)
    courses: list[Any] = []
    told = {"trainable_parameters": 1, "best_step": 0, "scores": []}

    def none(course: Any, model: Any) -> Any:
        courses.append(course)
        return SimpleNamespace(outputs=None), told

    monkeypatch.setattr(contrastive, "descend", none)
    contrastive.fit(make_context("classify"))
    assert courses[0].rate == pytest.approx(_schedule.TRAVEL / 3 * share)
    assert len(courses[0].feed) == 240


@pytest.mark.parametrize(
    ("few", "most", "passes", "steps"),
    [(6, 320, 2, 2), (24, 320, 3, 3), (40, 320, 4, 4), (80, 120, 4, 2), (80, 320, 4, 4)],
)
def test_few_rows_come_all_at_once(
    few: int, most: int, passes: int, steps: int, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_schedule, "PASSES", (2, 4))
    monkeypatch.setattr(_schedule, "BATCH", 80)
    monkeypatch.setattr(_schedule, "MOST", most)
    monkeypatch.setattr(contrastive, "WINDOWS", few)
    courses: list[Any] = []

    def none(course: Any, model: Any) -> Any:
        courses.append(course)
        told = {"trainable_parameters": 1, "best_step": 0, "scores": []}
        return SimpleNamespace(outputs=None), told

    monkeypatch.setattr(contrastive, "descend", none)
    contrastive.fit(make_context("classify"))
    (course,) = courses
    assert course.rate == pytest.approx(_schedule.TRAVEL / passes)
    batches = course.feed.epoch(course.fit.batch_rows, np.random.default_rng(0))
    assert [len(set(one.tolist())) for one in batches] == [few] * steps
    assert course.fit.epochs * -(-len(course.feed) // course.fit.batch_rows) == steps
    assert course.fit.average == 0.0


@pytest.mark.parametrize(
    ("right", "share"),
    [({}, 1.0), ({"1": 0.5, "3": 0.4}, 1.0), ({"1": 0.9, "3": 0.8}, 9 / 81 / 0.35), ({"1": 1.0}, 1 / 81 / 0.35)],
)
def test_where_the_probe_errs_little_the_encoder_goes_a_part_of_the_way(
    right: dict[str, float], share: float, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_schedule, "BATCH", 80)
    context = make_context("classify")
    plain = probe.fit(context)
    context.start = replace(plain, facts=plain.facts | {"cross_validation": right})
    courses: list[Any] = []
    told = {"trainable_parameters": 1, "best_step": 0, "scores": []}

    def none(course: Any, model: Any) -> Any:
        courses.append(course)
        return SimpleNamespace(outputs=None), told

    monkeypatch.setattr(contrastive, "descend", none)
    contrastive.fit(context)
    assert courses[0].rate == pytest.approx(_schedule.TRAVEL / PASSES * share)


def test_long_texts_are_seen_in_parts_and_short_ones_whole(make_context: Make) -> None:
    text = make_context("classify").backbone.modality
    windows = text.windows([["card " * 50, "the card"]])
    index, whole = np.arange(2), text.batch(windows, np.arange(2))["attention_mask"].sum(1).tolist()
    batch = cropped(text, 8)
    torch.manual_seed(0)
    seen = [batch(windows, index)["attention_mask"].sum(1).tolist() for _ in range(20)]
    assert {short for _, short in seen} == {whole[1]}
    assert len({long for long, _ in seen}) > 5
    assert all(whole[0] // 2 <= long <= whole[0] for long, _ in seen)
    torch.manual_seed(0)
    assert batch(windows, index)["attention_mask"].sum(1).tolist() == seen[0]


def test_a_modality_without_parts_is_seen_whole() -> None:
    modality = SimpleNamespace(batch=lambda windows, index: {"index": index})
    assert cropped(modality, 8) is modality.batch  # type: ignore[arg-type]


def test_where_validation_rows_are_too_few_to_judge_they_are_learnt_from(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contrastive, "JUDGES", 41)
    rows = fed(monkeypatch)
    context = make_context("classify", SETTINGS)
    plain = context.start = probe.fit(context)
    before = contrastive.fit(context)
    assert (before.facts["judged"], rows) == (False, [])
    assert same_bits(before.head, plain.head)
    assert before.refit is not None
    fitted = before.refit()
    assert rows == [120], "one training on all rows"
    assert fitted.refit is None
    assert (fitted.facts["judged"], fitted.facts["tuned"], fitted.facts["scores"]) == (False, True, [])
    np.testing.assert_array_equal(fitted.validation_logits, plain.validation_logits)
    assert gap(context, fitted.encoder) > gap(context, context.backbone.encoder) + 0.03


def test_a_promise_is_judged_by_however_few_rows(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of labels rest on answers of the model that ships, not on those of the plain probe."""
    monkeypatch.setattr(contrastive, "JUDGES", 41)
    fitted = contrastive.fit(make_context("classify", SETTINGS | {"unsure.error": 0.1}))
    assert fitted.facts["judged"] is True


def test_of_many_windows_some_are_drawn_from(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrastive, "WINDOWS", 10)
    context = make_context("classify", SETTINGS)
    fitted = contrastive.fit(context)
    assert fitted.facts["steps"] == PASSES
    assert fitted.validation_logits.shape == (40, 4)


@pytest.mark.parametrize("kind", ["regress", "multilabel"])
def test_kinds_without_one_class_per_row_are_refused(kind: str, make_context: Make) -> None:
    with pytest.raises(TunewrightError, match=f"method 'contrastive' does not fit kind '{kind}' → use --method full"):
        contrastive.fit(make_context(kind, SETTINGS))


def test_classes_of_one_row_each(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context("classify", SETTINGS, intents=8)
    part = context.parts["train"]
    first = [part.truth.index(label) for label in sorted(set(part.truth))]
    inputs = {"text": [part.inputs["text"][at] for at in first]}
    context.parts["train"] = type(part)(inputs, [part.truth[at] for at in first])
    fitted = contrastive.fit(context)
    assert fitted.facts["stopped"] == "epochs"
    assert fitted.validation_logits.shape == (80, 8)


class Other(nn.Module):
    """An encoder of a third party: nothing is known of its inside."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.inner(input_ids, attention_mask)


def test_an_encoder_without_layers_is_trained_whole(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrastive, "_score", lambda *_: 0.5)
    context = make_context("classify", SETTINGS)
    context.backbone.__dict__["encoder"] = Other(context.backbone.encoder)
    before = {name: value.clone() for name, value in context.backbone.encoder.state_dict().items()}
    fitted = contrastive.fit(context)
    after = fitted.encoder.state_dict()
    assert not torch.equal(after["inner.layers.0.qkv.weight"], before["inner.layers.0.qkv.weight"])
    assert all(torch.equal(value, before[name]) for name, value in context.backbone.encoder.state_dict().items())


def test_a_training_goes_on_after_a_kill_with_the_same_bits(resumed: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrastive, "LONG", 2)
    monkeypatch.setattr(contrastive, "_score", lambda *_: 0.5)
    whole, again = resumed(contrastive, SETTINGS, 12)
    assert same_bits(whole.encoder, again.encoder)
    assert same_bits(whole.head, again.head)
    assert whole.facts == again.facts
