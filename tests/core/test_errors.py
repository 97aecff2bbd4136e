"""Errors say what is wrong and what to do, survive a process boundary, and name the nearest known word."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import DamagedBundle, GateMissed, Interrupted, MissingExtra, TunewrightError, nearest


@pytest.mark.parametrize(
    ("kind", "code"), [(TunewrightError, 2), (DamagedBundle, 2), (GateMissed, 3), (Interrupted, 130)]
)
def test_an_error_keeps_its_two_parts_and_its_exit_code(kind: type[TunewrightError], code: int) -> None:
    error = kind("a.csv line 3: label is empty", "fill it")
    assert (error.problem, error.remedy, error.exit_code) == ("a.csv line 3: label is empty", "fill it", code)
    assert str(error) == "a.csv line 3: label is empty → fill it"


@pytest.mark.parametrize(
    "error",
    [
        TunewrightError("x", "y"),
        GateMissed("x", "y"),
        DamagedBundle("x", "y"),
        MissingExtra("methods/full", "torch", "train"),
    ],
)
def test_an_error_from_a_worker_process_arrives_whole(error: TunewrightError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (again.problem, again.remedy, str(again)) == (error.problem, error.remedy, str(error))


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtra("heads/classify", "torch", "train")
    assert error.problem == "heads/classify needs torch, which is not installed"
    assert error.remedy == "pip install 'tunewright[train]'"


def test_the_nearest_word_or_all_of_them() -> None:
    assert nearest("clasify", ["regress", "classify", "multilabel"]) == "did you mean 'classify'?"
    assert nearest("zzz", ["b", "a"]) == "use one of: a, b"
    assert nearest("zzz", []) == "use one of: (there is none)"


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.data())
def test_a_known_word_is_nearest_to_itself(known: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(known))
    assert nearest(word, known) == f"did you mean {word!r}?"
