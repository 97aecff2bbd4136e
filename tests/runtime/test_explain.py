"""Explanations of models whose reasons are known, of each kind and by both ways; and what cannot be explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.kinds._pooled import one_against_rest, softmax
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.runtime.explain import Explanation
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.ways import SAMPLES

WAYS = ("occlusion", "lime")
FILL = [f"word{letter}" for letter in "abcdefghijklmnopq"]


@pytest.fixture
def two(planted: Any) -> Any:
    """Two labels; ``stolen`` speaks for the second, ``mine`` against it."""
    words = {"stolen": (-1.0, 3.0), "mine": (0.5, 0.0), "card": (0.0, 0.25)}
    return planted({"label": Classify(("other", "theft"), temperature=2.0)}, {"label": words})


@pytest.fixture
def many(planted: Any) -> Any:
    """Any number of labels, a number, and one label, of two columns."""
    kinds = {"tags": Multilabel(("a", "b", "c"), (0.5, 0.5, 0.5), temperature=0.5), "size": Regress(10.0, 2.0)}
    kinds |= {"mood": Classify(("calm", "angry"))}
    weights = {
        "tags": {"x": (2.0, -1.0, 0.0), "y": (0.0, 3.0, -1.0), "no": (-3.0, -3.0, -2.0)},
        "size": {"x": (1.5,), "y": (-0.5,)},
        "mood": {"x": (0.0, 1.0)},
    }
    return planted(kinds, weights, ("title", "body"))


def weights(one: Explanation) -> dict[str, float]:
    return {piece.text: piece.weight for piece in one.pieces}


@pytest.mark.parametrize("method", WAYS)
def test_the_word_that_decides_comes_first(two: Any, method: str) -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.permutation([*draw.choice(FILL, size), "stolen"])) for size in (1, 3, 7, 12, 25) * 4]
    for text, one in zip(texts, two.explain(texts, method), strict=True):
        assert (one.label, one.method, one.measure) == ("theft", method, "log_odds")
        assert max(one.pieces, key=lambda piece: piece.weight).text == "stolen", text


def test_occlusion_of_a_sum_gives_the_weights_themselves(two: Any) -> None:
    (one,) = two.explain(["the card was stolen, not mine"])
    assert weights(one) == pytest.approx(
        {"the": 0, "card": 0.125, "was": 0, "stolen": 2.0, ",": 0, "not": 0, "mine": -0.25}, abs=1e-12
    )
    assert one.r2 is None
    assert one.asked == one.words + 1 == 8
    assert two.asked == [8], "all variants are asked for at once"
    assert one.score == pytest.approx(1 / (1 + np.exp(-(3.25 + 1 - 0.5) / 2)))


def test_lime_of_a_sum_gives_the_weights_nearly_and_says_so(two: Any) -> None:
    (one,) = two.explain(["the card was stolen, not mine, I believe"], "lime")
    found = weights(one)
    assert found["stolen"] == pytest.approx(2.0, abs=0.1)
    assert found["mine"] == pytest.approx(-0.25, abs=0.1)
    assert one.asked == SAMPLES
    assert one.r2 is not None
    assert one.r2 > 0.99


def test_r2_falls_where_two_words_decide_together(planted: Any) -> None:
    class Pairs(planted):  # type: ignore[misc, valid-type]
        def _sum(self, target: str, row: str) -> Any:
            words = row.split()
            return np.array([0.0, 5.0 * (("not" in words) != ("bad" in words))])

    pairs = Pairs({"label": Classify(("no", "yes"))}, {"label": {}})
    (one,) = pairs.explain(["it is not so bad at all"], "lime")
    assert one.r2 is not None
    assert one.r2 < 0.5


def test_lime_goes_by_its_seed(two: Any) -> None:
    text = [" ".join(FILL)]
    first, again, other = (two.explain(text, "lime", label="theft", seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert [one.asked for one in other] == [SAMPLES]
    mixed = [" ".join([*FILL, "stolen"])]
    assert two.explain(mixed, "lime", seed=1) != two.explain(mixed, "lime", seed=2)


def test_repeated_words_have_their_own_places(two: Any) -> None:
    text = "stolen? stolen! 卡 😀 stolen"
    (one,) = two.explain([text])
    assert [text[piece.start : piece.end] for piece in one.pieces] == [
        "stolen",
        "?",
        "stolen",
        "!",
        "卡",
        "😀",
        "stolen",
    ]
    assert [piece.weight for piece in one.pieces if piece.text == "stolen"] == pytest.approx([2.0] * 3)


def test_long_texts_are_explained_by_runs_of_words(two: Any) -> None:
    text = " ".join(["word"] * 150 + ["stolen", "card"] + ["word"] * 148)
    (one,) = two.explain([text], most=30)
    assert (one.words, len(one.pieces), one.asked) == (300, 30, 31)
    best = max(one.pieces, key=lambda piece: piece.weight)
    assert "stolen card" in best.text
    assert best.weight == pytest.approx(2.125)


def test_a_named_label_is_explained_instead(two: Any) -> None:
    (one,) = two.explain(["stolen"], label="other")
    assert (one.label, weights(one)) == ("other", {"stolen": pytest.approx(-2.0)})
    assert one.score < 0.5


def test_each_predicted_label_of_several_or_the_likeliest(many: Any) -> None:
    rows = [{"title": "x", "body": "y"}, {"title": "no", "body": "no"}]
    found = many.explain(rows)
    assert [(one.row, one.label) for one in found] == [(0, "a"), (0, "b"), (1, "c")]
    assert weights(found[0]) == pytest.approx({"x": 4.0, "y": 0.0})
    assert weights(found[1]) == pytest.approx({"x": -2.0, "y": 6.0})
    assert [piece.column for piece in found[0].pieces] == ["title", "body"]
    assert [one.label for one in many.explain(rows[:1], label="c")] == ["c"]


def test_a_number_is_explained_by_how_it_changes(many: Any) -> None:
    (one,) = many.explain([{"title": "x", "body": "y and x"}], target="size")
    assert (one.label, one.measure, one.score) == (None, "value", pytest.approx(15.0))
    assert [piece.weight for piece in one.pieces] == pytest.approx([3.0, -1.0, 0.0, 3.0])


def test_targets_go_by_name_and_the_first_is_the_default(many: Any) -> None:
    row = [{"title": "x", "body": ""}]
    assert {one.target for one in many.explain(row)} == {"tags"}
    assert [one.label for one in many.explain(row, target="mood")] == ["angry"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "occlusoin"}, "there is no way to explain named 'occlusoin' → did you mean 'occlusion'"),
        ({"method": "ig"}, "named 'ig' → use one of: lime, occlusion$"),
        ({"target": "mod"}, "there is no target 'mod' → did you mean 'mood'"),
        ({"target": "mood", "label": "angy"}, "label 'angy' is unknown to this task → did you mean 'angry'"),
        ({"target": "size", "label": "big"}, "target 'size' is a number and has no label 'big' → leave the label out"),
        ({"most": 0}, "0 pieces explain nothing"),
        ({"characters": 10}, "occlusion of this text reads 4 variants of it, 11 characters in all; the limit is 10"),
        ({"method": "lime", "characters": 10}, "8 variants .* or take occlusion"),
    ],
)
def test_what_cannot_be_asked_for(many: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TunewrightError, match=message):
        many.explain([{"title": "x x", "body": "y"}], **options)


def test_an_empty_row_is_named_among_several(two: Any) -> None:
    with pytest.raises(TunewrightError, match="^row 1: the text holds white space only: there is nothing to explain"):
        two.explain(["stolen", " "])
    with pytest.raises(TunewrightError, match="^the text is empty: there is nothing to explain → give a text with"):
        two.explain([""])


def test_a_kind_without_odds_is_refused(planted: Any) -> None:
    class PerToken:
        labels, size = ("o", "name"), 2

    model = planted({"tags": PerToken()}, {"tags": {}})
    with pytest.raises(TunewrightError, match="target 'tags': pertoken gives neither labels with odds nor a number"):
        model.explain(["a"])


def test_the_odds_of_a_sure_label_keep_their_digits() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (20, 5))
    p = softmax(logits)
    assert one_against_rest(logits) == pytest.approx(np.log(p / (1 - p)))
    sure = one_against_rest(np.array([[90.0, 0.0, 0.0]]))
    assert sure[0, 0] == pytest.approx(90 - np.log(2))
    assert np.isfinite(one_against_rest(np.array([[5000.0, 0.0]]))).all()


@pytest.mark.parametrize("method", WAYS)
def test_a_loaded_bundle_explains_its_own_answer(predictor: Predictor, texts: list[str], method: str) -> None:
    rows = [text for text in texts if text.strip()][:6]
    answers = predictor.predict(rows)
    found = predictor.explain(rows, method)
    assert [(one.row, one.label) for one in found] == [(at, answer.label) for at, answer in enumerate(answers)]
    for text, answer, one in zip(rows, answers, found, strict=True):
        assert one.score == pytest.approx(answer.score, abs=1e-6)
        assert [text[piece.start : piece.end] for piece in one.pieces] == [piece.text for piece in one.pieces]


def test_leaving_a_word_out_is_asking_without_it(predictor: Predictor) -> None:
    (one,) = predictor.explain(["where is my order"])
    with_it, without = predictor.logits(["where is my order", "where is my"])["label"]
    at = predictor.kind.labels.index(one.label or "")
    odds = predictor.kind.log_odds(np.stack([with_it, without]))[:, at]  # type: ignore[attr-defined]
    assert weights(one)["order"] == pytest.approx(odds[0] - odds[1], abs=1e-4)
