"""Weights, swapped rows and cells: by hand, and as they reach the fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task, parse_set, read_task
from tunewright.data.identity import terms_of
from tunewright.methods import lexical, probe
from tunewright.train import fairness
from tunewright.train.course import Model
from tunewright.train.examples import Part
from tunewright.train.fairness import augmented, cells, check, judged_by, treated, weights_of

Make = Callable[..., Any]
GROUPED = {"audit.groups": ["who"]}


def task_of(*flags: str) -> Task:
    return read_task(None, {"targets.0.column": "y", "inputs.text": "text"} | dict(map(parse_set, flags)))[0]


ROWS = st.lists(st.tuples(st.sampled_from("fm"), st.sampled_from("abc")), min_size=1, max_size=60)


@given(ROWS)
def test_weighed_rows_have_labels_that_are_independent_of_groups(rows: list[tuple[str, str]]) -> None:
    groups, labels = ([row[at] for row in rows] for at in (0, 1))
    weights = weights_of(Part({}, labels, groups))
    n = len(rows)
    for (group, label), weight in zip(rows, weights, strict=True):
        assert weight == pytest.approx(groups.count(group) * labels.count(label) / (n * rows.count((group, label))))
    if len(set(rows)) == len(set(groups)) * len(set(labels)):
        for group in set(groups):
            own = [one for one, (g, _) in zip(weights, rows, strict=True) if g == group]
            assert sum(own) == pytest.approx(groups.count(group))
            for label in set(labels):
                cell = sum(one for one, row in zip(weights, rows, strict=True) if row == (group, label))
                assert cell / sum(own) == pytest.approx(labels.count(label) / n)


def test_a_cell_is_a_group_with_its_label_or_the_group_alone() -> None:
    assert cells(Part({}, ["a", "b", "a", "b"], ["f", "f", "m", "f"])).tolist() == [0, 1, 2, 1]
    assert cells(Part({}, [1.0, 2.0, 3.0], ["m", "f", "m"])).tolist() == [1, 0, 1]
    assert cells(Part({}, [["a"], [], ["a", "b"]], ["m", "f", "m"])).tolist() == [1, 0, 1]


def test_rows_with_terms_are_added_with_these_swapped() -> None:
    part = Part(
        {"text": ["she came", "nobody came", "his old card"], "more": [1, 2, 3]}, ["x", "y", "z"], ["f", "", "m"]
    )
    more = augmented(part, terms_of("en", {}), 0)
    assert more.inputs["text"] == [*part.inputs["text"], "he came", "her young card"]
    assert more.inputs["more"] == [1, 2, 3, 1, 3]
    assert more.truth == ["x", "y", "z", "x", "z"]
    assert more.groups == ["f", "", "m", "f", "m"]


def test_parts_are_taken_and_joined_with_their_groups_and_weights() -> None:
    one = Part({"text": ["a", "b", "c"]}, [1, 2, 3], ["f", "m", "f"], np.array([1.0, 2.0, 3.0]))
    some = one.take([2, 0])
    assert (some.inputs, some.truth, some.groups) == ({"text": ["c", "a"]}, [3, 1], ["f", "f"])
    assert some.weights is not None
    assert some.weights.tolist() == [3.0, 1.0]
    both = some.joined(one)
    assert both.truth == [3, 1, 1, 2, 3]
    assert both.weights is not None
    assert both.weights.tolist() == [3.0, 1.0, 1.0, 2.0, 3.0]
    assert one.joined(replace(one, weights=None)).weights is None


@pytest.mark.parametrize(
    ("flags", "kind", "told"),
    [
        (["fairness.reweigh=true"], "classify", "fairness.reweigh: the task names no groups → set audit.groups"),
        (["fairness.thresholds=true"], "classify", "fairness.thresholds: the task names no groups"),
        (["objectives.group_dro=0.1"], "classify", "objectives.group_dro: the task names no groups"),
        (["fairness.reweigh=true", "audit.groups=['g']"], "regress", "fairness.reweigh does not fit kind 'regress'"),
        (["fairness.thresholds=true", "audit.groups=['g']"], "multilabel", "leave it out; it fits classify"),
        (["fairness.reweigh=true", "audit.groups=['g']"], "several", "does not fit several targets"),
        (["objectives.group_dro=0.1", "audit.groups=['g']", "fit.workers=2"], "classify", "which 2 workers share"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(flags: list[str], kind: str, told: str) -> None:
    with pytest.raises(TunewrightError) as caught:
        check(task_of(*flags), kind)
    assert told in str(caught.value)


def test_augmenting_needs_a_list_for_the_language(make_context: Make) -> None:
    context = make_context("classify", {"fairness.augment": True})
    with pytest.raises(TunewrightError, match=r"no list of identity terms for the language of the rows \(xx\)"):
        treated(context.task, context.parts, "xx", context.run)


def weighed(make_context: Make, **settings: Any) -> Any:
    context = make_context("classify", GROUPED | {"fairness.reweigh": True, **settings})
    context.parts = treated(context.task, context.parts, "en", context.run)
    return context


def test_the_probe_learns_from_weighed_rows(make_context: Make) -> None:
    context = weighed(make_context)
    fitted = probe.fit(context)
    counted = weights_of(context.parts["train"])
    assert len(set(counted.round(6))) > 1
    model = LogisticRegression(C=fitted.facts["strength"], max_iter=300, tol=1e-4)
    model.fit(context.train_embeddings, context.train.truth, sample_weight=counted)
    weight = fitted.head.state_dict()["pooled.linear.weight"].numpy()
    np.testing.assert_allclose(weight, model.coef_, atol=1e-4)
    plain = probe.fit(make_context("classify", GROUPED)).head.state_dict()["pooled.linear.weight"].numpy()
    assert np.abs(weight - plain).max() > 1e-3
    assert fitted.refit is not None
    again = fitted.refit().head.state_dict()["pooled.linear.weight"].numpy()
    both = np.concatenate([counted, weights_of(context.parts["validation"])])
    rows = np.concatenate([context.train_embeddings, context.validation_embeddings])
    model.fit(rows, np.concatenate([context.train.truth, context.validation.truth]), sample_weight=both)
    np.testing.assert_allclose(again, model.coef_, atol=1e-4)


def test_words_alone_learn_from_weighed_rows(make_context: Make) -> None:
    weights = [
        lexical.fit(one).head.state_dict()["bias"] for one in (weighed(make_context), make_context("classify", GROUPED))
    ]
    assert not torch.allclose(*weights, atol=1e-4)


def test_the_loop_is_fed_weighed_rows_and_judged_by_them(make_context: Make) -> None:
    context = weighed(make_context)
    model = Model(context.copy_of_encoder(), context.new_head())
    course = context.course("full", model)
    counted = weights_of(context.parts["train"])
    np.testing.assert_allclose(course.feed.weights, counted[course.feed.windows.owner])
    index = np.arange(6)
    shares = np.concatenate([weights for _, weights in course.feed.pieces(index, 10_000)])
    order = np.concatenate([rows for rows, _ in course.feed.pieces(index, 10_000)])
    np.testing.assert_allclose(shares, counted[order] / 6)
    score, logits = course.judge(model)
    hits = context.kind.decide(logits) == context.validation.truth
    assert score == pytest.approx(np.average(hits, weights=weights_of(context.parts["validation"])), abs=1e-6)


def test_what_nobody_asked_for_changes_nothing(make_context: Make) -> None:
    context = make_context("classify", GROUPED)
    assert treated(context.task, context.parts, "en", context.run) == context.parts
    assert judged_by(context.task, context.parts["validation"]) is None
    feed = context.course("full", Model(context.copy_of_encoder(), context.new_head())).feed
    assert feed.weights is None
    assert feed.groups is None
    assert fairness.DRO not in context.task.objectives
