"""Rules of review: words in several scripts, lengths, columns, scores, and the marks on answers."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from tunewright.kinds._answers import Label
from tunewright.kinds._reviewed import marked
from tunewright.kinds.multilabel import Labels
from tunewright.kinds.regress import Value
from tunewright.runtime.review import UNDECIDED, Rules, folded, pattern


def rules(**review: Any) -> Rules:
    found = Rules.of({"review": review})
    assert found is not None
    return found


def marks(own: Rules, answers: list[Any], **columns: list[Any]) -> list[bool]:
    return [one.needs_review for one in own.marked(answers, columns)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("my lawyer.", True),
        ("ＬＡＷＹＥＲ", True),
        ("lawyers", False),
        ("outlawyer", False),
        ("我的lawyer说", True),
        ("NOT\n acceptable!", True),
        ("not quite acceptable", False),
        ("我要投诉你们", True),
        ("投 诉", False),
        ("c++ is fine", True),
        ("Straße", True),
        ("", False),
    ],
)
def test_words_are_whole_words_in_any_case_and_width(text: str, found: bool) -> None:
    words = ["lawyer", "not acceptable", "投诉", "C++", "STRASSE"]
    assert bool(pattern(words).search(folded(text))) is found


def test_a_task_without_rules_has_none() -> None:
    assert Rules.of({}) is None
    assert Rules.of({"review": {"labels": [], "below": 0.0, "slices": {}}}) is None


def test_each_rule_marks_its_own_answers() -> None:
    answers = [Label("fraud", 0.9), Label("order", 0.9), Label("order", 0.49), Label("order", 0.5)]
    texts = ["a", "my lawyer", "b", "c"]
    assert marks(rules(labels=["fraud"]), answers, text=texts) == [True, False, False, False]
    assert marks(rules(below=0.5), answers, text=texts) == [False, False, True, False]
    assert marks(rules(slices={"x": {"words": ["lawyer"]}}), answers, text=texts) == [False, True, False, False]
    together = rules(labels=["fraud"], below=0.5, slices={"x": {"words": ["lawyer"]}})
    assert marks(together, answers, text=texts) == [True, True, True, False]
    assert list(together.hits(answers, {"text": texts})) == ["label fraud", "score below 0.5", "slice x", UNDECIDED]


def test_what_the_model_does_not_answer_is_for_a_person() -> None:
    answers = [Label(None, None, "unsure", []), Label("a", 0.9), Label("a", 0.9)]
    assert marks(rules(labels=["b"]), answers, text=["x", " ", "y"]) == [True, True, False]


def test_a_slice_looks_at_its_column_or_at_each() -> None:
    answers = [Label("a", 0.9)] * 2
    columns = {"subject": ["urgent", "hi"], "body": ["hi", "urgent"], "photo": [b"urgent", None]}
    assert marks(rules(slices={"x": {"words": ["urgent"]}}), answers, **columns) == [True, True]
    one = rules(slices={"x": {"words": ["urgent"], "column": "subject"}})
    assert marks(one, answers, **columns) == [True, False]


def test_a_slice_by_length_counts_characters() -> None:
    own = rules(slices={"long": {"longer": 3, "words": ["no"]}})
    assert marks(own, [Label("a", 0.9)] * 4, text=["abc", "abcd", "no", "字字字字"]) == [False, True, True, True]


def test_other_kinds() -> None:
    several = [Labels(["a", "b"], [0.9, 0.4]), Labels(["b"], [0.8]), Labels([], [])]
    assert marks(rules(below=0.5), several, text=["x"] * 3) == [True, False, False]
    assert marks(rules(labels=["a"]), several, text=["x"] * 3) == [True, False, False]
    assert marks(rules(below=1.0, labels=["a"]), [Value(0.1), Value(None, "empty")], text=["x"] * 2) == [False, True]


@dataclass
class Foreign:
    """An answer of another package's kind, that may be changed."""

    tags: list[str]


def test_any_answer_can_be_marked_and_pickled() -> None:
    for answer in (Label("a", 0.5), Foreign(["x"])):
        one = marked(answer, True)
        assert one.needs_review
        assert isinstance(one, type(answer))
        assert repr(one) == repr(answer)[:-1] + ", needs_review=True)"
        again = pickle.loads(pickle.dumps(one))
        assert again == one
        assert type(again) is type(one)
