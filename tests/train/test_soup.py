"""Soup: the greedy recipe against an independent one; never worse than the best member; taken up after a kill."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.errors import TunewrightError
from tunewright.core.task import read_task
from tunewright.methods import adalora, full, lora, top
from tunewright.train import checkpoint, members, take
from tunewright.train.ladder import climb
from tunewright.train.members import Member
from tunewright.train.outputs import logits_of
from tunewright.train.soup import greedy, mean

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 2, "fit.learning_rate": 3e-3, "fit.batch_rows": 16, "fit.average": 0.0, "fit.patience": 9}


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))


def of_points(points: list[list[float]], target: list[float]) -> tuple[list[Member], Callable[..., Member]]:
    """Members at points of a plane, scored by how close they lie to a target."""

    def scored(values: Any, *_: Any) -> Member:
        return Member(values, {}, -float(((values["w"] - torch.tensor(target)) ** 2).sum()), None)

    return [scored({"w": torch.tensor(one)}) for one in points], scored


COORDINATE = st.integers(-8, 8).map(float)


@given(
    st.lists(st.lists(COORDINATE, min_size=2, max_size=2), min_size=1, max_size=6), st.tuples(COORDINATE, COORDINATE)
)
def test_the_greedy_recipe_as_the_paper_writes_it(points: list[list[float]], target: tuple[float, float]) -> None:
    made, judged = of_points(points, list(target))
    found, kept = greedy(made, judged)

    scores = [-sum((a - b) ** 2 for a, b in zip(point, target, strict=True)) for point in points]
    ingredients: list[int] = []
    score = -np.inf
    for at in sorted(range(len(points)), key=lambda at: (-scores[at], at)):
        average = np.mean(np.float32([points[one] for one in (*ingredients, at)]), axis=0, dtype=np.float32)
        tried = -float(((average - np.float32(target)) ** 2).sum())
        if tried >= score - 1e-6 * abs(score) if ingredients else True:
            ingredients, score = [*ingredients, at], tried
    if kept == ingredients:
        assert found.score == pytest.approx(score, rel=1e-5, abs=1e-5)
    else:  # only a tie in the last bit may part them
        assert found.score == pytest.approx(score, rel=1e-4, abs=1e-4)
    assert found.score >= max(scores) - 1e-4
    assert torch.allclose(found.values["w"], torch.tensor([points[at] for at in kept]).mean(0), atol=1e-6)


def test_a_member_that_makes_it_worse_is_left_out() -> None:
    made, judged = of_points([[1.0, 0.0], [-1.0, 0.0], [9.0, 9.0]], [0.0, 0.0])
    found, kept = greedy(made, judged)
    assert (kept, found.values["w"].tolist()) == ([0, 1], [0.0, 0.0])


def test_the_average_is_that_of_each_tensor() -> None:
    values = [
        {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(4.0)},
        {"a": torch.tensor([3.0, 6.0]), "b": torch.tensor(0.0)},
    ]
    assert {name: one.tolist() for name, one in mean(values).items()} == {"a": [2.0, 4.0], "b": 2.0}


@pytest.mark.parametrize("method", [full, top, lora, adalora])
def test_what_ships_is_never_worse_than_the_best_member(method: Any, make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.soup": 3, "fit.soup_rates": True})
    fitted = method.fit(context)
    told = fitted.facts
    assert len(told["soup_scores"]) == 3
    assert told["soup_score"] >= max(told["soup_scores"])
    assert set(told["soup_kept"]) <= {1, 2, 3}
    scores = context.kind.row_score(fitted.validation_logits, context.validation.truth)
    assert told["soup_score"] == pytest.approx(float(scores.mean()), abs=1e-6)
    shipped = logits_of(context, fitted.encoder, fitted.head, context.validation)
    assert np.allclose(shipped, fitted.validation_logits, atol=1e-4), "the model holds what was judged"


def test_members_differ_and_the_first_is_the_training_alone(make_context: Make) -> None:
    alone = full.fit(make_context("classify", SETTINGS))
    context = make_context("classify", SETTINGS | {"fit.soup": 2})
    soup = full.fit(context)
    assert soup.facts["soup_scores"][0] == max(alone.facts["scores"])
    assert soup.facts["steps"] == 2 * alone.facts["steps"]
    kept = (context.run.work / "checkpoints").iterdir()
    assert {path.name.partition("-full-1-")[0] for path in kept} == {"member1", "member2"}, "what ended alone"


def test_the_backbone_stays_as_it_was(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.soup": 2})
    before = {name: one.clone() for name, one in context.backbone.encoder.state_dict().items()}
    top.fit(context)
    assert all(torch.equal(one, before[name]) for name, one in context.backbone.encoder.state_dict().items())


class Cut(Exception):
    """What stands for a kill."""


def steps_of(context: Any) -> int:
    return sum(record["event"] == "progress" and record["stage"] == "train" for record in context.run.told)


def cut_at(context: Any, step: int) -> None:
    """Stop dead after so many steps."""
    told, left = context.run.told.append, itertools.count(1)

    def listen(record: dict[str, Any]) -> None:
        told(record)
        if record["event"] == "progress" and record["stage"] == "train" and next(left) == step:
            raise Cut

    context.run._listener = listen


@pytest.mark.parametrize(("setting", "trainings"), [("fit.soup", 3), ("fit.ensemble", 2)])
@pytest.mark.parametrize("step", [3, 8, 12])
def test_cut_anywhere_it_ends_with_the_same_bits(setting: str, trainings: int, step: int, make_context: Make) -> None:
    """Three trainings of 5 steps; those that ended before the cut are not made again."""
    settings = SETTINGS | {setting: trainings, "fit.method": "full", "fit.epochs": 1}
    whole_context = make_context("classify", settings)
    whole = full.fit(whole_context)
    assert steps_of(whole_context) == 15
    first, again = make_context("classify", settings), make_context("classify", settings)
    cut_at(first, step)
    with pytest.raises(Cut):
        full.fit(first)
    again.run.work = first.run.work
    fitted = full.fit(again)
    assert fitted.facts == whole.facts
    assert np.array_equal(fitted.validation_logits, whole.validation_logits)
    theirs = whole.encoder.state_dict() | whole.head.state_dict()
    assert all(
        torch.equal(one, theirs[name]) for name, one in (fitted.encoder.state_dict() | fitted.head.state_dict()).items()
    )
    assert steps_of(again) == 15 - (step - 1), "the step that was cut is made again, those of ended trainings are not"


def test_the_time_is_shared(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    real = members.descend

    def watched(course: Any, model: Any) -> Any:
        seen.append(course.run.left)
        return real(course, model)

    monkeypatch.setattr(members, "descend", watched)
    context = make_context("classify", SETTINGS | {"fit.epochs": 1, "fit.soup": 3, "fit.minutes": 100.0})
    full.fit(context)
    assert context.run.seconds == 6000
    assert seen == pytest.approx([2000, 3000, 6000], rel=0.05), "what one leaves over goes to the others"


def test_without_time_one_training_is_made(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.soup": 3})
    context.run.seconds = 0.0
    assert len(full.fit(context).facts["soup_scores"]) == 1
    assert any("1 of 3 trainings were made, the time is over" in record.get("say", "") for record in context.run.told)


@pytest.mark.parametrize("method", ["lexical", "probe", "contrastive"])
def test_methods_that_solve_for_their_head_refuse_it(method: str) -> None:
    task, _ = read_task(None, {"inputs.text": "text", "targets.0.column": "y", "fit.method": method, "fit.soup": 2})
    with pytest.raises(
        TunewrightError, match=f"fit.soup = 2 joins trainings by gradient, and method '{method}' solves"
    ):
        take.check(task, "classify")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"fit.soup": 1}, "fit.soup = 1: one training has nothing to be joined with → set 2 or more, or 0"),
        ({"fit.ensemble": 1}, "fit.ensemble = 1: one training has nothing to be joined with"),
        ({"fit.soup": 2, "fit.ensemble": 2}, "fit.soup and fit.ensemble exclude each other → set one of them to 0"),
    ],
)
def test_settings_that_make_no_sense(flags: dict[str, int], said: str) -> None:
    with pytest.raises(TunewrightError) as caught:
        read_task(None, flags)
    assert said in str(caught.value)


def test_auto_says_where_it_does_not_apply(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.soup": 2, "fit.method": "auto"})
    _, rungs = climb(context)
    said = [record["say"].partition(":")[0] for record in context.run.told if "does not apply" in record.get("say", "")]
    by_gradient = [rung.method for rung in rungs if "soup_score" in rung.facts]
    assert {"lexical", "probe"} <= set(said)
    assert sorted([*said, *by_gradient]) == sorted(rung.method for rung in rungs)
    assert by_gradient
