"""The table of objectives in a task: what is refused before any training, and in which order the steps lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task, parse_set, read_task
from tunewright.objectives._wrapped import check, modules, wrapped
from tunewright.train.course import Model
from tunewright.train.feed import Feed
from tunewright.train.learn import prepare
from tunewright.train.step import plain

Make = Callable[..., Any]


def task_of(*flags: str) -> Task:
    return read_task(None, {"targets.0.column": "y"} | dict(map(parse_set, flags)))[0]


@pytest.mark.parametrize(
    ("flags", "kind", "problem", "remedy"),
    [
        (["fmg=0.3"], "classify", "there is no objective 'fmg'", "did you mean 'fgm'?"),
        (["_soft=1"], "classify", "there is no objective '_soft'", "use one of: class_weight, fgm"),
        (["label_smoothing=1"], "classify", "objectives.label_smoothing = 1 is out of its range", "from 0 to 0.9; 0"),
        (["fgm=-0.1"], "classify", "objectives.fgm = -0.1 is out of its range", "from 0 to 10; 0 turns it off"),
        (["focal=2"], "regress", "objectives.focal does not fit kind 'regress'", "it fits classify, multilabel"),
        (["supcon=1"], "multilabel", "objectives.supcon does not fit kind 'multilabel'", "it fits classify"),
        (["class_weight=1"], "multilabel", "objectives.class_weight does not fit kind", "it fits classify"),
        (["mixup=1"], "steps", "objectives.mixup does not fit kind 'steps'", "classify, multilabel, regress"),
        (["fgm=1", "pgd=1"], "classify", "objectives.fgm and objectives.pgd exclude each other", "choose one"),
        (
            ["focal=1", "margin=0.2"],
            "classify",
            "objectives.focal and objectives.margin exclude each other",
            "choose one",
        ),
        (
            ["margin=0.2", "mixup=1"],
            "classify",
            "objectives.margin and objectives.mixup exclude each other",
            "choose one",
        ),
        (["mixup=1", "supcon=1"], "classify", "supcon stands after objectives.mixup", "write supcon before mixup"),
    ],
)
def test_what_does_not_fit_is_refused(flags: list[str], kind: str, problem: str, remedy: str) -> None:
    task = task_of(*(f"objectives.{flag}" for flag in flags))
    with pytest.raises(TunewrightError) as caught:
        check(task, kind)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_what_fits_or_is_off_is_not_refused() -> None:
    check(task_of("objectives.supcon=1", "objectives.mixup=0.2", "objectives.fgm=0.3"), "classify")
    check(task_of("objectives.mixup=0", "objectives.supcon=1", "objectives.fgm=0", "objectives.pgd=0.3"), "classify")
    check(task_of("objectives.focal=0", "objectives.mixup=0.3", "objectives.rdrop=1"), "regress")


def test_a_strength_that_is_no_number_is_refused_by_the_task() -> None:
    with pytest.raises(TunewrightError, match="objectives.fgm = 'much': input should be a valid number"):
        task_of("objectives.fgm=much")


@pytest.mark.parametrize(("kind", "fine"), [("classify", True), ("multilabel", True), ("regress", False)])
def test_oversampling_needs_classes(kind: str, fine: bool) -> None:
    if fine:
        check(task_of("fit.oversample=0.5"), kind)
        return
    with pytest.raises(TunewrightError, match=r"fit\.oversample = 0\.5 does not fit kind 'regress', which has no cl"):
        check(task_of("fit.oversample=0.5"), kind)


@pytest.mark.parametrize("name", ["supcon", "mixup", "class_weight", "focal", "label_smoothing", "rdrop"])
def test_what_looks_at_one_class_refuses_several_targets(name: str) -> None:
    with pytest.raises(TunewrightError, match=rf"objectives\.{name} does not fit several targets → leave it out"):
        check(task_of(f"objectives.{name}=0.5"), "several")
    with pytest.raises(TunewrightError, match=r"fit\.oversample = 0\.5 does not fit several targets"):
        check(task_of("fit.oversample=0.5"), "several")
    check(task_of("objectives.fgm=0.3"), "several")


def test_it_is_refused_before_anything_is_loaded(make_context: Make) -> None:
    context = make_context("regress", {"objectives.focal": 2.0})
    with pytest.raises(TunewrightError, match=r"objectives\.focal does not fit kind 'regress'"):
        prepare(context.task, context.target, context.parts, "en", context.run)


def test_the_first_objective_of_the_task_lies_outermost(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped_in = []
    for name in ("rdrop", "focal", "fgm"):

        def wrap(step: Any, strength: float, context: Any, name: str = name) -> Any:
            wrapped_in.append((name, strength))
            return step

        monkeypatch.setattr(plugins.load("objectives", name), "wrap", wrap)
    context = make_context("classify", {"objectives.rdrop": 1.0, "objectives.focal": 2.0, "objectives.fgm": 0.3})
    wrapped(context, Model(context.copy_of_encoder(), context.new_head()))
    assert wrapped_in == [("fgm", 0.3), ("focal", 2.0), ("rdrop", 1.0)]


def test_a_model_without_words_or_pooled_embeddings_is_refused(make_context: Make) -> None:
    context = make_context("classify", {"objectives.fgm": 0.3})
    model = Model(nn.Linear(2, 2), context.new_head())
    with pytest.raises(TunewrightError, match=r"objectives\.fgm needs a module 'words'.*leave objectives\.fgm out"):
        context.course("full", model)
    context = make_context("classify", {"objectives.mixup": 0.3})
    model = Model(context.copy_of_encoder(), nn.Linear(2, 2))
    with pytest.raises(TunewrightError, match="objectives.mixup needs a module 'pooled'"):
        wrapped(context, model)


def test_modules_are_asked_for_by_objectives_that_are_on() -> None:
    assert modules(task_of("objectives.fgm=0.3", "objectives.focal=1", "objectives.mixup=0")) == {"words": "fgm"}
    assert modules(task_of()) == {}


def test_a_truth_of_another_kind_is_left_alone(make_context: Make) -> None:
    """A course on pairs, say, whose truth is not that of the rows, is trained by its own loss alone."""
    context = make_context("classify", {"objectives.label_smoothing": 0.1, "fit.oversample": 1.0})
    model = Model(context.copy_of_encoder(), context.new_head())
    own = Feed(context.train.windows, context.train.wanted, context.backbone.modality.batch)
    assert context.course("full", model, feed=own).step is not plain
    assert context.course("full", model, feed=own).feed.repeats is not None
    other = context.course("full", model, feed=replace(own, wanted=context.train.wanted * 0))
    assert other.step is plain
    assert other.feed.repeats is None
