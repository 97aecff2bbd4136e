"""Leakage: planted twins, words, times and ids are caught; rows without them are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import rensa
from hypothesis import given
from hypothesis import strategies as st

from tunewright.audit import Context, Training, audit
from tunewright.audit._telling import deciding, is_id, named, told_by_id
from tunewright.audit._twins import grams, jaccard, signatures, twins
from tunewright.core.task import read_task
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.report.sections import sections

WORDS = ["card", "money", "bank", "transfer", "lost", "app", "phone", "pay", "rate", "top", "fee", "cash", "limit"]
WORDS += ["open", "close", "find", "stop", "wait", "help", "sent"]
LABELS = ("alpha group", "beta group", "gamma group")


def plain_set(text: str) -> set[str]:
    """5 characters in a row, counted by hand; a text has a space before and behind it."""
    text = f" {' '.join(text.casefold().split())} "
    return {text[at : at + 5] for at in range(len(text) - 4)} if len(text) > 4 else set()


def sentences(count: int, seed: int) -> list[str]:
    draws = np.random.default_rng(seed)
    return [" ".join(draws.choice(WORDS, 12)) for _ in range(count)]


def of(found: list[Finding]) -> dict[str, Finding]:
    return {one.metric: one for one in found}


@pytest.fixture
def clean() -> Context:
    """200 training rows and 100 judged rows of random words, 3 labels, all answered right."""
    draws = np.random.default_rng(1)
    learnt, truth = draws.integers(0, 3, 200), draws.integers(0, 3, 100)
    train = Training({"text": sentences(200, 2)}, learnt)
    return Context(Classify(LABELS), np.eye(3)[truth] * 5, truth, {"text": sentences(100, 3)}, train=train)


# Twins


@given(one=st.text("abc de", max_size=30), other=st.text("abc de", max_size=30))
def test_the_index_is_that_of_sets(one: str, other: str) -> None:
    left, right = plain_set(one), plain_set(other)
    wanted = len(left & right) / len(left | right) if left | right else 0.0
    assert jaccard(*grams([one, other])) == pytest.approx(wanted)


def test_smallest_hashes_agree_as_often_as_the_index_says() -> None:
    """As those of rensa do, on the same sets, within what 400 draws allow."""
    draws = np.random.default_rng(0)
    one = " ".join(draws.choice(WORDS, 40))
    for changed in (2, 8, 20):
        words = one.split()
        for at in draws.permutation(40)[:changed]:
            words[at] = "zebra"
        other = " ".join(words)
        wanted = jaccard(*grams([one, other]))
        own = signatures(grams([one, other]), 400)
        theirs = [rensa.RMinHash(num_perm=400, seed=1) for _ in range(2)]
        for minhash, text in zip(theirs, (one, other), strict=True):
            minhash.update(sorted(plain_set(text)))
        assert float((own[0] == own[1]).mean()) == pytest.approx(wanted, abs=0.1)
        assert theirs[0].jaccard(theirs[1]) == pytest.approx(wanted, abs=0.1)


def test_all_twins_are_found_and_no_others() -> None:
    """Against every pair compared: none of 300 × 60 is missed that is alike by 0.8."""
    others = sentences(300, 5)
    changed = [text.replace("card", "cards", 1) + "!" for text in others[:30]] + sentences(30, 6)
    found = twins(others, changed)
    left, right = grams(others), grams(changed)
    every = np.array([[jaccard(one, other) for one in left] for other in right])
    assert found.rows.tolist() == np.flatnonzero(every.max(1) >= 0.8).tolist()
    assert 20 <= len(found.rows) <= 30
    assert found.nearest[found.rows].tolist() == every.argmax(1)[found.rows].tolist()
    assert found.index[found.rows] == pytest.approx(every.max(1)[found.rows])


def test_texts_without_characters_have_no_twin() -> None:
    assert twins(["", "a", "where is my card"], ["", "a", "  "]).rows.tolist() == []


def test_planted_twins_are_caught_and_the_clean_score_is_without_them(clean: Context) -> None:
    inputs = [text.upper() + "." for text in clean.train.inputs["text"][:20]] + clean.inputs["text"][20:]
    logits = clean.logits.copy()
    logits[20:60] = np.eye(3)[(clean.truth[20:60] + 1) % 3]  # half of the others are answered wrongly
    leaky = Context(clean.kind, logits, clean.truth, {"text": inputs}, train=clean.train)
    found = of(audit(leaky, only=["leakage"]))
    assert found["near_twins"].value == 0.2
    assert found["clean_accuracy"].value == 0.5
    assert found["clean_accuracy"].n == 80
    assert found["near_twins"].exhibits[0].private
    assert len(found["near_twins"].exhibits[0].rows) == 20
    assert found["near_twins"].note == "20 of 100 rows nearly repeat one of 200 training rows"


def test_clean_rows_raise_no_alarm(clean: Context) -> None:
    found = of(audit(clean, only=["leakage"]))
    assert [found[name].value for name in ("near_twins", "label_names", "deciding_words")] == [0.0, 0.0, 0.0]
    assert found["clean_accuracy"].value == 1.0


def test_the_sample_rows_have_no_deciding_word(sample_rows: dict[str, list[dict[str, str]]]) -> None:
    rows = sample_rows["support_train.csv"]
    truth = np.unique([row["intent"] for row in rows], return_inverse=True)[1]
    assert deciding([row["text"] for row in rows], truth, int(truth.max()) + 1, 0)[0] == []


# Words


@pytest.mark.parametrize(
    ("text", "label", "holds"),
    [
        ("tag: Card_Lost, please", 0, True),
        ("tag: card lost", 1, False),
        ("my cards lost", 0, False),
        ("my card is lost", 1, True),
        ("我要投诉你们", 2, True),
        ("card lost 投诉", 2, False),
        ("", 0, False),
    ],
)
def test_a_label_is_named_by_its_whole_name_alone(text: str, label: int, holds: bool) -> None:
    assert named([text], np.array([label]), ("card lost", "card", "投诉")).tolist() == [holds]


def test_a_planted_word_is_caught(clean: Context) -> None:
    texts, truth = list(clean.train.inputs["text"]), clean.train.truth
    marked = [f"{text} #x7" if label == 1 else text for text, label in zip(texts, truth, strict=True)]
    found, told, of_rows = deciding(marked, truth, 3, 0)
    assert [(one.word, one.label) for one in found] == [("x7", 1), ("#", 1)] or {one.word for one in found} == {
        "#",
        "x7",
    }
    assert told == int((truth == 1).sum())
    assert of_rows == 200
    assert deciding(texts, truth, 3, 0)[0] == []


def test_a_common_word_of_two_classes_decides_none(clean: Context) -> None:
    truth = clean.train.truth
    marked = [f"{text} zz" if label else text for text, label in zip(clean.train.inputs["text"], truth, strict=True)]
    assert deciding(marked, truth, 3, 0)[0] == []


# Times and ids


def timed(clean: Context, before: list[Any], after: list[Any]) -> Finding:
    task, _ = read_task(None, {"split.by": "time", "split.column": "day"})
    train = Training(clean.train.inputs, clean.train.truth, {"day": before})
    context = Context(clean.kind, clean.logits, clean.truth, clean.inputs, {"day": after}, train=train, task=task)
    return of(audit(context, only=["leakage"]))["too_early"]


def test_rows_older_than_the_latest_training_row_are_counted(clean: Context) -> None:
    assert timed(clean, ["2026-01-05"] * 200, ["2026-01-04"] * 10 + ["2026-01-06T08:00:00"] * 90).value == 0.1
    assert timed(clean, [9] * 200, [10] * 100).value == 0.0
    assert "cannot be read" in timed(clean, ["Monday"] * 200, ["Tuesday"] * 100).note
    assert "names no column of times" in of(audit(clean, only=["leakage"]))["too_early"].note


@pytest.mark.parametrize("form", ["{:06d}", "{}"])
def test_an_id_whose_order_tells_the_label_is_caught(clean: Context, form: str) -> None:
    draws = np.random.default_rng(4)

    def ids(truth: Any) -> list[str]:
        return [form.format(100_000 * (label + 1) + draws.integers(0, 99_999)) for label in truth]

    train = Training(clean.train.inputs, clean.train.truth, {"ticket": ids(clean.train.truth)})
    others = {"ticket": ids(clean.truth)}
    context = Context(clean.kind, clean.logits, clean.truth, clean.inputs, others, train=train)
    found = of(audit(context, only=["leakage"]))["id_lead"]
    assert found.low is not None
    assert found.low > 0.4
    assert "'ticket'" in found.note
    assert "12 rules" not in found.source
    shuffled = Training(clean.train.inputs, clean.train.truth, {"ticket": draws.permutation(ids(clean.train.truth))})
    none = Context(clean.kind, clean.logits, clean.truth, clean.inputs, others, train=shuffled)
    clean_one = of(audit(none, only=["leakage"]))["id_lead"]
    assert clean_one.low is not None
    assert clean_one.low < 0


def test_texts_and_repeated_values_are_no_ids() -> None:
    assert is_id([f"t-{at}" for at in range(50)])
    assert not is_id(sentences(50, 0))
    assert not is_id(["a", "b"] * 25)
    assert not is_id(["x"] * 5)


def test_the_nearest_id_answers() -> None:
    said = told_by_id([1, 2, 10, 11], np.array([0, 0, 1, 1]), [3, 9, 100])
    assert said["order"].tolist() == [0, 1, 1]
    assert told_by_id(["a1", "b1"], np.array([1, 0]), ["a7", "c"])["prefix of 1"].tolist() == [1, 0]


def test_everything_it_says_is_there_in_chinese(clean: Context) -> None:
    findings = audit(clean, only=["leakage"])
    (section,) = sections(findings)
    for finding in findings:
        assert section.metric(finding.metric)[1] != finding.metric
        if finding.note:
            assert section.say(finding.note)[1] != finding.note, finding.note


def test_without_the_training_texts_it_says_so(clean: Context) -> None:
    bare = Context(clean.kind, clean.logits, clean.truth, clean.inputs, train=Training({}, clean.train.truth))
    assert {one.note for one in audit(bare, only=["leakage"])} == {
        "not run, because the texts of the training rows are not at hand"
    }
    none = Context(clean.kind, clean.logits, clean.truth, clean.inputs)
    assert {one.note for one in audit(none, only=["leakage"])} == {"not run, because the training rows are not at hand"}
