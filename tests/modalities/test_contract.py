"""What every modality promises, for each file in modalities/ and each one that an entry point adds."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.core import plugins
from tunewright.core.types import Modality, Ragged, Windows


@dataclass(frozen=True)
class Example:
    """A modality with raw values of its columns, the first row the smallest; ``wrong`` is no value of it."""

    modality: Modality
    columns: Sequence[Sequence[Any]]
    wrong: Any


def text(tokenizers: Mapping[str, Callable[[], Any]]) -> Example:
    modality = plugins.load("modalities", "text")(tokenizers["wordpiece"](), 8)
    return Example(modality, [["", "the card", "lost " * 20, "钱"]], 3)


def ngrams(tokenizers: Mapping[str, Callable[[], Any]]) -> Example:
    columns = [["", "the card", "lost the card " * 20, "钱 card"]]
    return Example(plugins.load("modalities", "ngrams").learn(columns), columns, 3)


def text_ngrams(tokenizers: Mapping[str, Callable[[], Any]]) -> Example:
    """The rows of ``ngrams``, some of them longer than a window."""
    texts, words = text(tokenizers), ngrams(tokenizers)
    modality = plugins.load("modalities", "text_ngrams")(texts.modality, words.modality)
    return Example(modality, words.columns, 3)


EXAMPLES: Mapping[str, Callable[..., Example]] = {"text": text, "ngrams": ngrams, "text_ngrams": text_ngrams}
"""A new modality needs one function here; everything below then covers it."""

METHODS = {name for name in vars(Modality) if callable(getattr(Modality, name)) and not name.startswith("_")}


@pytest.fixture(params=plugins.names("modalities"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def example(name: str, tokenizers: Mapping[str, Callable[[], Any]]) -> Example:
    assert name in EXAMPLES, f"add an example of {name!r} to EXAMPLES"
    return EXAMPLES[name](tokenizers)


@pytest.fixture
def windows(example: Example) -> Windows:
    return example.modality.windows(example.columns)


def test_the_protocol_names_methods() -> None:
    assert sorted(METHODS) == ["batch", "load", "save", "windows"]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_it_has_every_method_with_the_arguments_of_the_protocol(name: str, method: str) -> None:
    found, wanted = getattr(plugins.load("modalities", name), method), getattr(Modality, method)
    mine, asked = ([one for one in inspect.signature(at).parameters if one != "self"] for at in (found, wanted))
    assert mine == asked


def test_its_axes_start_with_rows(example: Example) -> None:
    assert example.modality.axes
    assert all(axes[0] == "rows" for axes in example.modality.axes.values())


def test_what_it_saves_is_json_and_loads_to_the_same(name: str, example: Example, tmp_path: Path) -> None:
    settings = json.loads(json.dumps(example.modality.save(tmp_path / "a"), allow_nan=False))
    again = plugins.load("modalities", name).load(settings, tmp_path / "a")
    assert again.save(tmp_path / "b") == settings
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()
    }
    same(again.windows(example.columns), example.modality.windows(example.columns))


def test_every_row_owns_windows_in_order(example: Example, windows: Windows) -> None:
    assert windows.rows == len(example.columns[0])
    assert windows.owner.dtype == windows.cost.dtype == np.int64
    assert sorted(set(windows.owner.tolist())) == list(range(windows.rows))
    assert (np.diff(windows.owner) >= 0).all()
    assert len(windows) == len(windows.cost)
    assert all(len(values) == len(windows) for values in windows.data.values())
    assert windows.spans is None or windows.spans.lengths.tolist() == windows.cost.tolist()
    assert np.bincount(windows.owner, weights=windows.share()) == pytest.approx(np.ones(windows.rows))


def test_a_batch_has_the_inputs_and_the_axes_that_are_declared(example: Example, windows: Windows) -> None:
    for index in (np.array([0]), np.arange(len(windows)), np.arange(len(windows))[::-1]):
        batch = example.modality.batch(windows, index)
        assert set(batch) == set(example.modality.axes)
        lengths: dict[str, int] = {"rows": len(index)}
        for name, axes in example.modality.axes.items():
            assert len(axes) == batch[name].ndim
            for axis, length in zip(axes, batch[name].shape, strict=True):
                assert lengths.setdefault(axis, length) == length


def test_no_rows_give_no_windows(example: Example) -> None:
    windows = example.modality.windows([[] for _ in example.columns])
    assert (windows.rows, len(windows)) == (0, 0)


def test_the_same_rows_give_the_same_windows(example: Example, windows: Windows) -> None:
    same(example.modality.windows(example.columns), windows)


def test_a_row_gives_the_same_windows_in_any_company(example: Example, windows: Windows) -> None:
    for row in range(windows.rows):
        alone = example.modality.windows([[column[row]] for column in example.columns])
        mine = np.flatnonzero(windows.owner == row)
        assert alone.cost.tolist() == windows.cost[mine].tolist()
        for name, values in alone.data.items():
            assert np.array_equal(flat(values), flat(windows.data[name].take(mine, axis=0)))


def test_what_is_no_value_of_it_is_refused_with_its_row(example: Example) -> None:
    columns = [[*column, example.wrong] for column in example.columns]
    with pytest.raises(Exception, match=f"row {len(columns[0]) - 1}: "):
        example.modality.windows(columns)


def same(one: Windows, other: Windows) -> None:
    assert one.owner.tolist() == other.owner.tolist()
    assert one.cost.tolist() == other.cost.tolist()
    for name, values in one.data.items():
        assert np.array_equal(flat(values), flat(other.data[name]))


def flat(values: Any) -> Any:
    return values.values if isinstance(values, Ragged) else values
