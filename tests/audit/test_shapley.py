"""Shapley values where they are known: of a sum, of pairs counted by hand; and what they cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tunewright.audit._shapley import MOST, SHAP, halves
from tunewright.core.errors import TunewrightError
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress

WORDS = {"stolen": (0.0, 3.0), "mine": (0.5, 0.0), "card": (0.0, 0.25)}


@pytest.fixture
def two(planted: Any) -> Any:
    return planted({"label": Classify(("other", "theft"), temperature=2.0)}, {"label": WORDS})


def test_of_a_sum_they_are_its_weights_and_add_up(two: Any) -> None:
    (one,) = two.explain(["the card was stolen, not mine"], SHAP)
    found = {piece.text: piece.weight for piece in one.pieces}
    wanted = {"the": 0, "card": 0.125, "was": 0, "stolen": 1.5, ",": 0, "not": 0, "mine": -0.25}
    assert found == pytest.approx(wanted, abs=1e-12)
    assert (one.method, one.base, one.asked) == ("shap", 0.0, sum(two.asked))
    assert one.base + sum(found.values()) == pytest.approx(math.log(one.score / (1 - one.score)))


@pytest.mark.parametrize("text", ["stolen", "a stolen", "stolen card mine"])
def test_short_texts(two: Any, text: str) -> None:
    (one,) = two.explain([text], SHAP)
    assert one.pieces[-1].weight == pytest.approx({"stolen": 1.5, "mine": -0.25}[text.split()[-1]])


def test_four_pieces_that_work_together_are_those_of_the_definition(planted: Any) -> None:
    """Owen values by hand: all orders of the words in which the halves of the tree stay together."""

    def said(words: frozenset[str]) -> float:
        return 5.0 * ({"a", "b"} <= words) + 2.0 * ({"b", "c"} <= words) - 1.0 * ("d" in words)

    class Together(planted):  # type: ignore[misc, valid-type]
        def _sum(self, target: str, row: str) -> Any:
            return np.array([said(frozenset(row.split()))])

    (one,) = Together({"size": Regress(0.0, 1.0)}, {"size": {}}).explain(["a b c d"], SHAP)
    orders = [
        [*first, *second]
        for pair in itertools.permutations((("a", "b"), ("c", "d")))
        for first, second in itertools.product(*(itertools.permutations(half) for half in pair))
    ]
    wanted = dict.fromkeys("abcd", 0.0)
    for order in orders:
        for at, word in enumerate(order):
            gain = said(frozenset(order[: at + 1])) - said(frozenset(order[:at]))
            wanted[word] += gain / len(orders)
    assert {piece.text: piece.weight for piece in one.pieces} == pytest.approx(wanted)


def test_each_label_of_several_from_the_same_variants(planted: Any) -> None:
    model = planted({"tags": Multilabel(("a", "b"), (0.5, 0.5))}, {"tags": {"x": (2.0, -1.0), "y": (0.0, 3.0)}})
    first, second = model.explain(["x y"], SHAP)
    assert [piece.weight for piece in first.pieces] == pytest.approx([2.0, 0.0])
    assert [piece.weight for piece in second.pieces] == pytest.approx([-1.0, 3.0])


@pytest.mark.parametrize("pieces", [16, 32, 60])
def test_what_it_costs(two: Any, pieces: int) -> None:
    text = " ".join([f"w{at}" for at in range(pieces - 1)] + ["stolen"])
    (one,) = two.explain([text], SHAP, most=pieces)
    assert len(one.pieces) == pieces
    assert one.asked <= MOST + 64
    exact = pieces <= 32
    assert one.asked == {16: 173, 32: 685}.get(pieces, one.asked)
    assert (
        one.pieces[-1].weight == pytest.approx(1.5)
        if exact
        else max(one.pieces, key=lambda piece: piece.weight) == one.pieces[-1]
    )


def test_the_draws_of_numpy_go_on_as_before(two: Any) -> None:
    np.random.seed(3)
    wanted = np.random.rand()
    np.random.seed(3)
    two.explain(["the card was stolen"], SHAP, seed=9)
    assert np.random.rand() == wanted


def test_the_tree_holds_each_piece_once() -> None:
    for pieces in range(1, 20):
        tree = halves(pieces)
        assert tree.shape == (pieces - 1, 4)
        assert sorted(tree[:, :2].ravel().tolist()) == list(range(2 * pieces - 2))
        assert not len(tree) or tree[-1, 3] == pieces


def test_an_empty_text_has_a_clear_answer(two: Any) -> None:
    with pytest.raises(
        TunewrightError, match="the text is empty: there is nothing to explain → give a text with words"
    ):
        two.explain([""], SHAP)


def test_the_command_explains_by_it(cli: Callable[..., Any], tiny_bundle: Any) -> None:
    ran = cli("explain", tiny_bundle, "where is my order", "--method", "shap")
    assert (ran.code, "a piece's share of the log-odds" in ran.out) == (0, True)
