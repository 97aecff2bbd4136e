"""Swapped identity terms: a model that minds who is spoken of is caught, one that does not is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, audit, counterfactual
from tunewright.audit._swaps import effects, variants
from tunewright.core.task import read_task
from tunewright.core.types import Finding
from tunewright.data.identity import terms_of
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress

KINDS = {"y": Classify(("bad", "good"))}
TEXTS = [f"{who} came {word}" for who in ("she", "he") for word in ("late", "early", "again")] * 5


def context_of(planted: Any, weights: dict[str, list[float]], texts: list[str] = TEXTS, **more: Any) -> Context:
    kind = more.pop("kind", KINDS["y"])
    model = planted({"y": kind}, {"y": weights})
    inputs = {"text": texts}
    given = {"inputs": inputs, "ask": lambda columns: model.logits(columns)["y"], "language": "en"}
    return Context(kind, model.logits(inputs)["y"], **(given | more))


def by_name(found: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(one.metric, one.slice): one for one in found}


def test_a_prejudice_is_caught_with_its_direction(planted: Any) -> None:
    context = context_of(planted, {"she": [0.0, -2.0], "late": [1.0, 0.0], "he": [0.0, 1.5]})
    found = by_name(counterfactual.run(context))
    changed = found["counterfactual.changed", ""]
    assert (changed.value, changed.n, changed.note) == (1.0, 30, "30 of 30 rows hold a term")
    proba = context.proba
    other = np.concatenate([proba[3:], proba[:3]])  # "she" and "he" stand three rows apart
    said = context.decided
    rows = np.arange(30)
    expected = np.abs(other[rows, said] - proba[rows, said]).mean()
    assert found["counterfactual.shift", "gender"].value == pytest.approx(expected)
    pairs = {(row[1], row[2]): row for row in changed.exhibits[0].rows}
    toward = proba[3:6, 1].mean() - proba[:3, 1].mean()
    assert pairs["she", "he"][3:5] == (15, 1.0)
    signed = {row[2]: (row[6], row[7]) for row in pairs.values()}
    for new, (label, by) in signed.items():
        sign = 1 if (new == "he") == (label == "good") else -1
        assert by == pytest.approx(sign * toward)


def test_a_model_that_does_not_mind_is_clean(planted: Any) -> None:
    found = by_name(counterfactual.run(context_of(planted, {"late": [1.0, 0.0]})))
    assert found["counterfactual.changed", ""].value == 0
    assert found["counterfactual.shift", ""].value == 0
    assert found["counterfactual.changed", ""].high > 0.05  # type: ignore[operator]


def test_examples_are_private_and_show_both_texts(planted: Any) -> None:
    changed = counterfactual.run(context_of(planted, {"she": [0.0, -2.0], "he": [0.0, 1.5]}))[0]
    public, private = changed.exhibits
    assert private.private
    assert not public.private
    assert (
        private.rows[0][2:6]
        in {
            ("she came late", "he came late", "bad", "good"),
            ("he came late", "she came late", "good", "bad"),
            ("she came early", "he came early", "bad", "good"),
            ("she came again", "he came again", "bad", "good"),
        }
        or private.rows[0][4] != private.rows[0][5]
    )
    assert "came late" not in str(public.rows)


def test_a_row_counts_once_whatever_it_holds(planted: Any) -> None:
    texts = ["the young woman came", "the old man came", "nobody came"] * 10
    context = context_of(planted, {"woman": [0.0, 2.0], "man": [0.0, -2.0]}, texts)
    found = by_name(counterfactual.run(context))
    assert found["counterfactual.changed", ""].n == 20
    assert found["counterfactual.changed", "gender"].value == 1.0
    assert found["counterfactual.changed", "age"].value == 0.0
    asked = variants(context, terms_of("en", {}))
    assert len(asked) == 40
    assert effects(context, asked).changed.sum() == 20


def test_several_labels_and_numbers(planted: Any) -> None:
    weights = {"she": [2.0, 0.0], "he": [-2.0, 0.0]}
    several = context_of(planted, weights, kind=Multilabel(("a", "b"), (0.5, 0.5)))
    assert by_name(counterfactual.run(several))["counterfactual.changed", ""].value == 1.0
    number = context_of(planted, {"she": [2.0], "he": [-2.0]}, kind=Regress(5.0, 3.0))
    found = by_name(counterfactual.run(number))
    assert found["counterfactual.shift", ""].value == pytest.approx(12.0)
    assert ("counterfactual.changed", "") not in found


@pytest.mark.parametrize(
    ("texts", "language", "told"),
    [
        (["nobody came"] * 20, "en", "not run, because no row holds an identity term"),
        (["elle est venue"] * 20, "xx", "no list of identity terms for the language of the rows (xx): set audit.terms"),
        (["she came", *["nobody came"] * 20], "en", "too few to be judged: 1 of 21 rows hold a term"),
    ],
)
def test_what_cannot_be_judged_is_said(planted: Any, texts: list[str], language: str, told: str) -> None:
    found = counterfactual.run(context_of(planted, {}, texts, language=language))
    assert all(one.value is None for one in found)
    assert told in found[0].note


def test_terms_of_the_task_are_swapped_too(planted: Any) -> None:
    task, _ = read_task(None, {"audit.terms": {"dialect": [["lorry", "truck"]]}, "targets.0.column": "y"})
    texts = ["my lorry broke", "my truck broke"] * 10
    context = context_of(planted, {"lorry": [2.0, 0.0], "truck": [0.0, 2.0]}, texts, task=task, language="xx")
    found = by_name(counterfactual.run(context))
    assert found["counterfactual.changed", "dialect"].value == 1.0


def test_chinese_texts(planted: Any) -> None:
    model_sees = {"他": [0.0, 2.0], "她": [2.0, 0.0]}
    texts = ["他 来 了", "她 来 了", "其他 人 来 了"] * 10
    found = by_name(counterfactual.run(context_of(planted, model_sees, texts, language="zh")))
    assert found["counterfactual.changed", "gender"].value == 1.0
    assert found["counterfactual.changed", "gender"].n == 20


def test_a_model_of_labels_alone_has_no_shift(planted: Any) -> None:
    context = replace(context_of(planted, {"she": [2.0, 0.0], "he": [0.0, 2.0]}), scores=False)
    found = by_name(counterfactual.run(context))
    assert found["counterfactual.changed", ""].value == 1.0
    assert found["counterfactual.shift", ""].note == "not run, because the model gives labels without scores"


def test_it_runs_where_it_is_asked_for(planted: Any) -> None:
    context = context_of(planted, {"she": [2.0, 0.0]})
    assert not [one for one in audit(context) if one.audit == "counterfactual"]
    assert [one for one in audit(context, costly=True) if one.audit == "counterfactual"]
