"""Changed texts, asked anew: a model that reads letters exactly is caught, one that reads beginnings is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, asked_by, audit, check_gates, judge
from tunewright.audit._altered import altered, change_of
from tunewright.audit._intervals import wilson
from tunewright.audit._nearby import TEXT_NEAR, Nearby
from tunewright.audit._paired import newcombe
from tunewright.core.types import Finding
from tunewright.data.changes import changed
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.report.sections import sections

Reads = Callable[[str], float]
FILL = ["please", "tell", "about", "the", "order", "of", "that", "item", "today", "with", "some", "more", "words"]


def rows(n: int = 120) -> list[str]:
    draw = np.random.default_rng(3)
    return [" ".join(draw.permutation([*draw.choice(FILL, 2), ("stolen", "refund")[at % 2]])) for at in range(n)]


def exact(text: str) -> float:
    """Knows whole words as they are written."""
    return float("refund" in text.split()) - float("stolen" in text.split()) + 0.5


def sturdy(text: str) -> float:
    """Knows words by their first letter, in any case: typing errors leave it."""
    return (
        sum((word[:1].lower() == "r") - (word[:1].lower() == "s") * (word.lower() != "some") for word in text.split())
        + 0.5
    )


def context_of(reads: Reads, texts: Sequence[str], language: str = "en", **more: Any) -> Context:
    def ask(columns: Any) -> Any:
        odds = np.array([reads(text) for text in columns["text"]])
        return np.stack([-odds, odds], 1)

    truth = np.array([float(reads(text)) > 0 for text in texts], np.int64)
    inputs = {"text": list(texts)}
    return Context(Classify(("theft", "money")), ask(inputs), truth, inputs, ask=ask, language=language, **more)


def found(context: Context) -> dict[str, Finding]:
    return {one.metric: one for one in audit(context, ["robustness"])}


def test_a_model_that_breaks_by_typing_errors_is_caught_and_a_sturdy_one_is_not() -> None:
    broken, firm = (found(context_of(reads, rows())) for reads in (exact, sturdy))
    assert broken["typo.drop"].low > 0.05  # type: ignore[operator]
    assert firm["typo.drop"].value == 0
    assert firm["typo.drop"].high < 0.08  # type: ignore[operator]
    assert firm["typo.flips"].value == firm["case.flips"].value == 0
    assert broken["case.drop"].value > 0.2  # type: ignore[operator]
    gates = {"robustness.typo.drop": "<= 0.08", "typo.drop.high": "<= 0.2"}
    told = [{one.metric: one.passed for one in judge([*some.values()], gates)}["typo.drop"] for some in (broken, firm)]
    assert told == [False, True]


def test_drop_and_flips_are_those_counted_by_hand() -> None:
    context = context_of(exact, rows())
    new = {row: changed("typo", text, 0, row) for row, text in enumerate(rows())}
    hit = [row for row, text in new.items() if text != rows()[row]]
    truth = np.asarray(context.truth)
    before = {row: int(context.decided[row]) for row in hit}
    after = {row: int(exact(new[row]) > 0) for row in hit}
    lost = sum(before[row] == truth[row] != after[row] for row in hit)
    won = sum(before[row] != truth[row] == after[row] for row in hit)
    n = len(hit)
    drop, flips = found(context)["typo.drop"], found(context)["typo.flips"]
    assert (drop.n, drop.value) == (n, pytest.approx((lost - won) / n))
    both = sum(before[row] == truth[row] == after[row] for row in hit)
    assert (drop.low, drop.high) == pytest.approx(newcombe(both, won, lost, n))
    changes = sum(before[row] != after[row] for row in hit)
    assert flips.value == pytest.approx(changes / n)
    assert (flips.low, flips.high) == pytest.approx(wilson(changes, n))


def test_at_most_some_hundred_rows_are_asked_and_only_changed_ones() -> None:
    asked: list[int] = []
    context = context_of(exact, [*rows(900), *(["an old cat"] * 50)])

    def ask(columns: Any) -> Any:
        asked.append(len(columns["text"]))
        assert context.ask is not None
        return context.ask(columns)

    one = altered(replace(context, ask=ask), change_of("typo", 0))
    assert asked == [len(one)] == [300]
    assert len(set(one.rows.tolist())) == 300
    assert all(one.columns["text"][m] != context.inputs["text"][row] for m, row in enumerate(one.rows))


def test_without_labels_flips_alone_are_told() -> None:
    given = found(replace(context_of(exact, rows()), truth=None))
    assert given["typo.drop"].note == "not run, because the rows have no labels"
    assert given["typo.flips"].value is not None
    assert given["typo.drop"].value is None


@pytest.mark.parametrize(
    ("change", "metric", "note"),
    [
        ({"language": "ko"}, "typo.drop", "not run, because it has no words for texts in 'ko'"),
        ({}, "homophone.flips", "not run, because it has no words for texts in 'en'"),
        ({"language": ""}, "case.drop", "not run, because the language is not known"),
        ({"ask": None}, "case.drop", "not run, because there is no model at hand to ask"),
        ({}, "synonym.drop", "not run, because the model gives no vectors"),
        ({}, "contraction.drop", "not run, because only 0 rows are changed by it"),
        ({"inputs": {"text": [1.0] * 120}}, "typo.drop", "not run, because no input is a text"),
    ],
)
def test_what_it_cannot_measure_it_says(change: dict[str, Any], metric: str, note: str) -> None:
    given = found(replace(context_of(sturdy, rows()), **change))
    assert (given[metric].value, given[metric].note) == (None, note)


def test_few_rows_are_said_to_be_few() -> None:
    given = found(context_of(sturdy, rows(20)))
    assert given["typo.drop"].note == "only 20 rows are changed by it"
    assert found(context_of(sturdy, rows(9)))["typo.drop"].value is None


def test_rows_of_the_user_stand_in_the_private_exhibit_alone_and_all_is_there_in_chinese() -> None:
    given = audit(context_of(exact, rows()), ["robustness"])
    section = sections(given)[0]
    (table,), (worst,) = section.exhibits, section.private
    assert {"typo", "case"} <= {row[0] for row in table.rows}
    assert worst.rows
    assert all(row[2] != row[3] and row[5] != row[6] for row in worst.rows)
    for finding in given:
        assert section.metric(finding.metric)[1] != finding.metric
        assert not finding.note or section.say(finding.note)[1] != finding.note, finding.note
    for text in (table.title, worst.title, *table.columns):
        assert section.say(text)[1] != text, text


def test_gates_on_a_drop_are_known_before_training_and_ask_for_the_audit() -> None:
    kind = Classify(("theft", "money"))
    check_gates({"robustness.typo.drop": "<= 0.08", "homophone.flips": "<= 0.1"}, kind)
    assert asked_by({"robustness.typo.drop": "<= 0.08"}, kind) == ["robustness"]
    assert not [one for one in audit(context_of(exact, rows())) if one.audit == "robustness"]


def test_several_labels_have_to_be_right_all_of_them() -> None:
    def ask(columns: Any) -> Any:
        return np.array(
            [[9.0 if word in text.split() else -9.0 for word in ("stolen", "refund")] for text in columns["text"]]
        )

    inputs = {"text": [f"{one} stolen" for one in rows()]}
    kind = Multilabel(("theft", "money"), (0.5, 0.5))
    truth = kind.decide(ask(inputs))
    given = found(Context(kind, ask(inputs), truth, inputs, ask=ask, language="en"))
    flipped = given["typo.flips"]
    assert given["typo.drop"].value == flipped.value
    assert flipped.value > 0.2  # type: ignore[operator]


def test_chinese_texts_are_changed_as_chinese_is() -> None:
    texts = [f"{at}号订单{('退款', '被盗')[at % 2]}的问题请尽快处理" for at in range(80)]
    given = found(context_of(lambda text: float("退款" in text) - 0.5, texts, "zh"))
    for name in ("homophone", "shape", "traditional", "pinyin", "width", "spacing", "appended"):
        assert given[f"{name}.drop"].value is not None, name
    assert given["traditional.drop"].value == 0.0
    assert given["homophone.drop"].value > 0.02  # type: ignore[operator]
    assert given["typo.drop"].note == "not run, because it has no words for texts in 'zh'"


VECTORS = {"movie": 0.0, "film": 0.1, "picture": 0.2, "terrible": 2.0, "awful": 2.1, "tasty": 4.0, "yummy": 4.1}


def embed(columns: Any) -> Any:
    """Words lie on a circle; a text is the mean of its words, and an unknown word weighs little."""
    found = []
    for text in columns["text"]:
        angles = [VECTORS[word] for word in text.split() if word in VECTORS]
        vector = np.array([sum(map(np.cos, angles)), sum(map(np.sin, angles)), 0.1])
        found.append(vector / np.linalg.norm(vector))
    return np.array(found, np.float32)


def near_rows(n: int = 60) -> list[str]:
    words = list(VECTORS)
    return [f"was {words[at % 7]} and {words[at * 3 % 7]} too" for at in range(n)]


def test_near_words_are_found_by_the_vectors_and_kept_where_the_text_stays_near() -> None:
    nearby = Nearby(embed, {"text": near_rows()})
    assert set(nearby.of("movie")) == {"film", "picture"}
    assert nearby.of("Awful") == ["Terrible"]
    assert nearby.of("unknown") == []
    change = nearby.swaps(range(60), 0)
    swapped = [(text, change(text, 0)) for text in near_rows() if change(text, 0) != text]
    assert swapped
    one, other = (nearby.vectors([pair[at] for pair in swapped]) for at in (0, 1))
    assert ((one * other).sum(1) >= TEXT_NEAR).all()


def test_a_model_that_tells_near_words_apart_is_caught() -> None:
    words = {"film", "terrible", "tasty"}
    reads = [lambda text: float(bool(words & set(text.split()))) - 0.5, lambda text: 1.0]
    broken, firm = (found(context_of(one, near_rows(), embed=embed)) for one in reads)
    assert broken["synonym.flips"].value > 0.1  # type: ignore[operator]
    assert firm["synonym.flips"].value == 0


HAN = {"酒店": 0.0, "宾馆": 0.1, "饭店": 0.2, "干净": 2.0, "整洁": 2.1, "便宜": 4.0, "划算": 4.1}


def embed_han(columns: Any) -> Any:
    """As ``embed``, for texts without spaces."""
    cut = [" ".join(word for word in HAN if word in text) for text in columns["text"]]
    angles = [[HAN[word] for word in text.split()] for text in cut]
    found = np.array([[sum(map(np.cos, one)), sum(map(np.sin, one)), 0.1] for one in angles])
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def han_rows(n: int = 210) -> list[str]:
    """Two of the words in each text, among characters of no word."""
    draw, words = Random(0), list(HAN)
    between = ["".join(draw.choices("觉得真还挺总共以为左右东西南北春夏秋冬山水花草", k=7)) for _ in range(3 * n)]
    return [
        f"{between[3 * at]}{words[at % 7]}{between[3 * at + 1]}{words[at * 5 % 7]}{between[3 * at + 2]}"
        for at in range(n)
    ]


def test_chinese_words_are_found_in_the_rows_and_near_ones_stand_for_them() -> None:
    nearby = Nearby(embed_han, {"text": han_rows()}, "zh")
    assert set(nearby.words) >= set(HAN)
    assert set(nearby.of("酒店")) == {"宾馆", "饭店"}
    assert nearby.of("便宜") == ["划算"]
    change = nearby.swaps(range(210), 0)
    swapped = [(text, change(text, 0)) for text in han_rows() if change(text, 0) != text]
    assert len(swapped) > 50
    assert all(len(one) == len(other) for one, other in swapped)
    one, other = (nearby.vectors([pair[at] for pair in swapped]) for at in (0, 1))
    assert ((one * other).sum(1) >= TEXT_NEAR).all()


def test_a_model_that_tells_near_chinese_words_apart_is_caught() -> None:
    known = ("酒店", "干净", "便宜")
    reads = [lambda text: float(any(word in text for word in known)) - 0.5, lambda text: 1.0]
    broken, firm = (found(context_of(one, han_rows(), "zh", embed=embed_han)) for one in reads)
    assert broken["synonym.flips"].value > 0.1  # type: ignore[operator]
    assert broken["synonym.flips"].n > 50
    assert firm["synonym.flips"].value == 0


def test_a_word_with_more_about_it_is_no_exchange() -> None:
    texts = [text.replace("宾馆", "大酒店") for text in han_rows()]
    near = Nearby(lambda columns: np.ones((len(columns["text"]), 2)) + np.arange(2), {"text": texts}, "zh")
    assert "大酒店" in near.words
    assert not {"酒店", "大酒店"} & {other for word in ("酒店", "大酒店") for other in near.of(word)}


def test_other_scripts_without_spaces_have_no_near_words() -> None:
    given = found(context_of(sturdy, rows(), "ja", embed=embed))
    assert given["synonym.flips"].note == "not run, because it has no words for texts in 'ja'"
    assert Nearby(embed, {"text": ["部屋がきれい"] * 20}, "ja").words == []
