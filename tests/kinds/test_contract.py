"""What every kind promises, for each file in kinds/ and each kind that an entry point adds."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from tunewright.core import plugins
from tunewright.core.types import Array, Kind, Ragged, Windows


@dataclass(frozen=True)
class Example:
    """Values of a target's column as a kind reads them, and what one row's logits look like."""

    values: tuple[Any, ...]
    per_step: bool = False


EXAMPLES = {
    "classify": Example(("a", "b", "ä", "a", "b", "ä")),
    "multilabel": Example((["a"], ["b", "ä"], [], ["a", "b"], ["ä"], ["b"])),
    "regress": Example((1, 2.5, -3.0, 4, 0.0, 1e3)),
}
"""A new kind needs one line here; everything below then covers it."""

METHODS = {name for name in vars(Kind) if callable(getattr(Kind, name)) and not name.startswith("_")}


@pytest.fixture(params=plugins.names("kinds"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def example(name: str) -> Example:
    assert name in EXAMPLES, f"add an example of the values of {name!r} to EXAMPLES"
    return EXAMPLES[name]


@pytest.fixture
def kind(name: str, example: Example) -> Kind:
    learnt: Kind = plugins.load("kinds", name).learn(example.values, {})
    return learnt


@pytest.fixture
def windows(example: Example) -> Windows:
    """Row 1 has two windows, every other row one; each of three steps."""
    owner = np.array([0, 1, *range(1, len(example.values))])
    return Windows(len(example.values), owner, np.full(len(owner), 3), {})


@pytest.fixture
def logits(kind: Kind, example: Example, windows: Windows) -> Array:
    draw = np.random.default_rng(0)
    shape = (3, kind.size) if example.per_step else (kind.size,)
    return kind.gather([draw.normal(size=shape).astype(np.float32) for _ in range(len(windows))], windows)


def test_the_protocol_names_methods() -> None:
    assert {"learn", "load", "spec", "encode", "gather", "decode", "columns", "metrics", "empty"} <= METHODS


@pytest.mark.parametrize("method", sorted(METHODS))
def test_it_has_every_method_with_the_arguments_of_the_protocol(name: str, method: str) -> None:
    found, wanted = getattr(plugins.load("kinds", name), method), getattr(Kind, method)
    mine, asked = (list(inspect.signature(one).parameters.values()) for one in (found, wanted))
    asked = [one for one in asked if one.name not in ("self", "cls")]
    mine = [one for one in mine if one.name not in ("self", "cls")]
    assert [one.name for one in mine] == [one.name for one in asked]
    assert [one.default for one in mine] == [one.default for one in asked]


def test_every_kind_has_a_head_of_its_name(name: str) -> None:
    assert name in plugins.names("heads")


def test_its_facts_are_of_the_right_types(kind: Kind) -> None:
    assert isinstance(kind.size, int)
    assert kind.size >= 1
    assert isinstance(kind.labels, tuple)
    assert all(isinstance(label, str) for label in kind.labels)
    assert kind.closed_form in ("logistic", "logistic_per_label", "ridge", None)
    assert kind.headline


def test_its_answer_is_a_dataclass_of_json_values(kind: Kind, logits: Array) -> None:
    assert is_dataclass(kind.answer)
    assert "reason" in {one.name for one in fields(kind.answer)}
    for answer in (*kind.decode(logits), *kind.decode(logits, 2), kind.empty("empty")):
        assert isinstance(answer, kind.answer)
        assert json.loads(json.dumps(asdict(answer), allow_nan=False)) == asdict(answer)
    assert kind.empty("why not").reason == "why not"


def test_its_spec_is_json_and_loads_to_the_same(name: str, kind: Kind, example: Example, logits: Array) -> None:
    truth = kind.encode(example.values)
    for one in (kind, kind.calibrate(logits, truth)):
        again = plugins.load("kinds", name).load(json.loads(json.dumps(one.spec(), allow_nan=False)))
        assert again == one
        assert again.spec() == one.spec()
        assert again.decode(logits) == one.decode(logits)


def test_calibrating_leaves_the_kind_as_it_was(kind: Kind, example: Example, logits: Array) -> None:
    before = kind.spec()
    kind.calibrate(logits, kind.encode(example.values))
    assert kind.spec() == before


def test_truth_is_coded_by_rows_and_spread_by_windows(kind: Kind, example: Example, windows: Windows) -> None:
    truth = kind.encode(example.values)
    assert len(truth) == len(example.values)
    spread = kind.spread(truth, windows)
    assert isinstance(spread, Ragged) == example.per_step
    assert len(spread) == len(windows)


def test_logits_are_gathered_by_rows(kind: Kind, example: Example, logits: Array, windows: Windows) -> None:
    assert len(logits) == windows.rows
    nothing = np.zeros(0, np.int64)
    none = kind.gather([], Windows(0, nothing, nothing, {}))
    assert len(none) == 0
    assert kind.decode(none) == []
    assert len(kind.decide(none)) == 0


def test_what_is_decided_is_coded_as_truth(kind: Kind, example: Example, logits: Array) -> None:
    truth, decided = kind.encode(example.values), kind.decide(logits)
    assert decided.dtype == truth.dtype
    assert decided.shape == truth.shape
    assert len(kind.decode(logits)) == len(truth)


def test_truth_itself_has_the_best_metrics(kind: Kind, example: Example, logits: Array) -> None:
    truth = kind.encode(example.values)
    perfect, found = kind.metrics(truth, truth), kind.metrics(kind.decide(logits), truth)
    assert set(perfect) == set(found) >= set(kind.headline)
    assert all(type(value) is float and np.isfinite(value) for value in (*perfect.values(), *found.values()))
    assert found[kind.headline[0]] < perfect[kind.headline[0]] == 1.0


def test_every_row_has_a_score(kind: Kind, example: Example, logits: Array) -> None:
    scores = kind.row_score(logits, kind.encode(example.values))
    assert scores.shape == (len(example.values),)
    assert scores.dtype == np.float64


def test_the_first_column_is_the_prediction(kind: Kind, logits: Array) -> None:
    answers = [*kind.decode(logits, 2), kind.empty("empty")]
    columns = kind.columns(answers)
    assert next(iter(columns)) == "prediction"
    assert all(len(values) == len(answers) for values in columns.values())
    assert columns["prediction"][-1] is None
    assert next(iter(kind.columns([]))) == "prediction"
