"""The word attack: it breaks what can be broken, by the fewest words, within its budget, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, audit
from tunewright.audit import attack as plugin
from tunewright.audit._substitution import CHANGED, QUERIES, Attack, Victim, slips
from tunewright.audit.attack import attacked
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.report.sections import sections

FILL = ["please", "tell", "about", "the", "order", "of", "that", "item", "today", "with", "some", "more", "words"]


def rows(n: int = 40) -> list[str]:
    draw = np.random.default_rng(3)
    return [" ".join(draw.permutation([*draw.choice(FILL, 9), ("stolen", "refund")[at % 2]])) for at in range(n)]


def exact(text: str) -> float:
    return 2.0 * ("refund" in text.split()) - 2.0 * ("stolen" in text.split()) + 0.5 * (text.count("r") % 2) - 0.2


def context_of(odds: Callable[[str], float], texts: list[str], language: str = "en", **more: Any) -> Context:
    def ask(columns: Any) -> Any:
        found = np.array([odds(text) for text in columns["text"]])
        return np.stack([-found, found], 1)

    inputs = {"text": texts}
    logits = ask(inputs)
    kind = Classify(("theft", "money"))
    return Context(kind, logits, kind.decide(logits), inputs, ask=ask, language=language, **more)


def found(context: Context) -> dict[str, Finding]:
    return {one.metric: one for one in audit(context, ["attack"])}


def test_a_model_that_hangs_on_one_word_falls_by_that_word_and_a_deaf_one_does_not() -> None:
    fragile = lambda text: 1.0 if "refund" in text.split() else -1.0  # noqa: E731
    texts = [text for text in rows(80) if "refund" in text]
    broken = found(context_of(fragile, texts))
    assert broken["success"].value == 1.0
    assert broken["words_changed"].value == 1.0
    assert broken["queries"].value <= 10 + 5  # type: ignore[operator]
    assert broken["success"].note == "only 40 texts are attacked"
    deaf = found(context_of(lambda text: 1.0, texts))
    assert (deaf["success"].value, deaf["success"].n) == (0.0, 40)
    assert deaf["words_changed"].note == "not defined, because no answer fell"
    assert broken["similarity"].note == "not run, because the model gives no vectors"


def test_it_changes_no_more_words_and_asks_no_more_often_than_it_may() -> None:
    asked = 0
    context = context_of(lambda text: 3.0 + 0.01 * len(text), [" ".join(FILL * times) for times in range(1, 13)])

    def ask(columns: Any) -> Any:
        nonlocal asked
        asked += len(columns["text"])
        assert context.ask is not None
        return context.ask(columns)

    victims = attacked(replace(context, ask=ask), None)
    assert asked == sum(one.queries for one in victims)
    assert max(one.queries for one in victims) <= QUERIES
    for one in victims:
        differ = [at for at, (word, first) in enumerate(zip(one.words, one.first, strict=True)) if word != first]
        assert set(differ) == one.changed
        assert len(differ) <= max(1, int(CHANGED * len(one.first)))
        assert one.texts(one.first) == {"text": context.inputs["text"][one.row]}


def test_the_weightiest_word_goes_first() -> None:
    context = context_of(
        lambda text: sum({"aaaa": 1, "bbbb": 5, "cccc": 3}.get(one, 0) for one in text.split()), ["aaaa bbbb cccc dddd"]
    )
    victim = Victim.of(0, {"text": context.inputs["text"][0]}, ["text"], 1.0, 0)
    order: list[list[int]] = []

    def ask(columns: Any) -> Any:
        order.append(list(victim.order))
        assert context.ask is not None
        return context.ask(columns)

    Attack(context.kind, ask, context.decided).run([victim])
    assert order[1] == [2, 0, 3]  # the second has been taken from it already
    assert victim.changed == {1}


def test_only_right_answers_are_attacked() -> None:
    context = context_of(exact, rows())
    truth = np.where(np.arange(40) < 25, context.truth, 1 - context.truth)
    assert found(replace(context, truth=truth))["success"].n == 25
    assert {one.row for one in attacked(replace(context, truth=truth), None)} == set(range(25))
    assert found(replace(context, truth=None))["success"].n == 40


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"language": "ko"}, "not run, because it has no words for texts in 'ko'"),
        ({"language": ""}, "not run, because the language is not known"),
        ({"ask": None}, "not run, because there is no model at hand to ask"),
        ({"scores": False}, "not run, because the model gives labels without scores"),
        (
            {"truth": np.array([9] * 40)},
            "not run, because only 0 rows are answered rightly and have two words or more",
        ),
    ],
)
def test_what_it_cannot_measure_it_says(change: dict[str, Any], note: str) -> None:
    given = found(replace(context_of(exact, rows()), **change))
    assert {(one.value, one.note) for one in given.values()} == {(None, note)}
    assert set(given) == set(plugin.metrics(Classify(("a", "b"))))


def test_near_words_are_tried_first_and_only_where_the_text_stays_near() -> None:
    class Fake:
        """Words ``good`` and ``fine`` are near; the text stays near with the one and not with the other."""

        def of(self, word: str) -> list[str]:
            return ["fine", "far"] if word == "good" else []

        def vectors(self, texts: list[str]) -> Any:
            return np.array([[0.0, 1.0] if "far" in text else [1.0, 0.0] for text in texts])

    tried: list[str] = []

    def ask(columns: Any) -> Any:
        tried.extend(columns["text"])
        odds = np.array([1.0 if "good" in text.split() else -1.0 for text in columns["text"]])
        return np.stack([-odds, odds], 1)

    kind = Classify(("bad", "good"))
    victim = Victim.of(0, {"text": "a good day"}, ["text"], 0.9, 0)
    Attack(kind, ask, np.array([1]), Fake()).run([victim])  # type: ignore[arg-type]
    assert victim.fell
    assert victim.texts(victim.words) == {"text": "a fine day"}
    assert tried[3] == "a fine day"
    assert not [text for text in tried if "far" in text]


def test_slips_differ_by_little_and_those_of_han_are_of_their_sound_or_shape() -> None:
    for word in ("refund", "ab", "我", "退", "龘"):
        made = slips(word, Random(1))
        assert word not in made
        assert len(made) == len(set(made))
    assert 4 <= len(slips("refund", Random(1))) <= 5
    assert "tui" in slips("退", Random(1))
    assert slips("订", Random(1))[-2:] == ["訂", "ding"]


def test_chinese_and_several_labels_can_be_attacked() -> None:
    texts = [f"我要{('退款', '投诉')[at % 2]}这个订单已经{at}天" for at in range(20)]
    chinese = found(context_of(lambda text: float("退款" in text) - 0.5, texts, "zh"))
    assert chinese["success"].value == 0.5
    assert chinese["words_changed"].value == 1.0

    def ask(columns: Any) -> Any:
        return np.array(
            [[9.0 if one in text.split() else -9.0 for one in ("stolen", "refund")] for text in columns["text"]]
        )

    kind, inputs = Multilabel(("theft", "money"), (0.5, 0.5)), {"text": rows()}
    several = Context(kind, ask(inputs), kind.decide(ask(inputs)), inputs, ask=ask, language="en")
    assert found(several)["success"].value == 1.0


def test_findings_are_the_same_for_the_same_seed_and_speak_chinese() -> None:
    context = context_of(exact, rows())
    given = audit(context, ["attack"])
    assert given == audit(context, ["attack"])
    section = sections(given)[0]
    assert not section.exhibits
    (private,) = section.private
    assert all(row[1] != row[2] and row[3] != row[4] for row in private.rows)
    for finding in given:
        assert section.metric(finding.metric)[1] != finding.metric
        assert not finding.note or section.say(finding.note)[1] != finding.note
    assert section.say(private.title)[1] != private.title
