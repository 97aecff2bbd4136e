"""A training that was cut short goes on as if nothing had happened: the same weights, to the bit, from every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core import run as run_module
from tunewright.core.journal import read_journal
from tunewright.report.curves import curves
from tunewright.train import checkpoint, loop
from tunewright.train.checkpoint import Checkpoints
from tunewright.train.course import Model
from tunewright.train.feed import STEP_BUDGET
from tunewright.train.loop import descend
from tunewright.train.pieces import Pieces

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 3, "fit.learning_rate": 3e-3, "fit.batch_rows": 16, "fit.average": 0.0, "fit.patience": 9}
STEPS = 15
"""80 rows in batches of 16, three times."""


class Cut(Exception):
    """What stands for a kill."""


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))


def trained(context: Any, name: str = "full") -> SimpleNamespace:
    """The best, the facts, the weights and the last optimiser state of a training with all parameters."""
    model = Model(context.copy_of_encoder(), context.new_head())
    best, facts = descend(context.course(name, model), model)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    return SimpleNamespace(best=best, facts=facts, weights=weights, told=context.run.told)


def cut_at(context: Any, step: int) -> None:
    """Let a training stop dead after so many steps of its own."""
    told, left = context.run.told.append, iter(range(step - 1, -1, -1))

    def listen(record: dict[str, Any]) -> None:
        told(record)
        if record["event"] == "progress" and record["stage"] == "train" and next(left) == 0:
            raise Cut

    context.run._listener = listen


def made(context: Any) -> int:
    """How many steps a training made."""
    return sum(record["event"] == "progress" and record["stage"] == "train" for record in context.run.told)


def same(one: SimpleNamespace, other: SimpleNamespace) -> bool:
    """The same result to the bit, and the same told of it."""
    assert one.facts == other.facts
    assert (one.best.score, one.best.step, one.best.scores) == (other.best.score, other.best.step, other.best.scores)
    assert np.array_equal(one.best.outputs, other.best.outputs)
    assert one.weights.keys() == other.weights.keys()
    return all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())


def in_pieces(make: Callable[[], Any], cuts: Callable[[int], int]) -> tuple[SimpleNamespace, list[int]]:
    """A training that is cut short again and again, each time after ``cuts(number)`` steps, until it ends."""
    contexts: list[Any] = []
    while True:
        context = make()
        if contexts:
            context.run.work = contexts[0].run.work
        contexts.append(context)
        cut_at(context, cuts(len(contexts)))
        try:
            return trained(context), [made(one) for one in contexts]
        except Cut:
            assert len(contexts) < 50, "it does not come to an end"


def test_several_targets_go_on_with_the_same_bits(make_context: Make) -> None:
    whole = trained(make_context("several", SETTINGS))
    pieces, steps = in_pieces(lambda: make_context("several", SETTINGS), lambda number: 4)
    assert len(steps) > 2
    assert same(pieces, whole)
    assert whole.best.step > 0


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_cut_after_every_step_it_ends_with_the_same_bits(average: float, steps: int, make_context: Make) -> None:
    """A cut step is made again: the cut comes before its checkpoint."""
    settings = SETTINGS | {"fit.average": average}
    whole = trained(make_context("classify", settings))
    assert whole.facts["stopped"] == "epochs"
    assert whole.facts["best_step"] > 0
    pieces, counts = in_pieces(lambda: make_context("classify", settings), lambda number: steps + 1)
    assert same(whole, pieces)
    assert counts == [steps + 1] * ((STEPS - 1) // steps) + [STEPS - (STEPS - 1) // steps * steps]


def test_the_draws_of_dropout_and_of_batches_are_part_of_it(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout and batches are drawn by two generators, and a checkpoint needs the state of both."""
    whole = trained(make_context("classify", SETTINGS))
    save = Checkpoints.save
    other = torch.Generator().manual_seed(5).get_state()
    draws = np.random.default_rng(5).bit_generator.state
    for wrong in (
        lambda tensors, facts: (tensors | {"torch_rng": other}, facts),
        lambda tensors, facts: (tensors, facts | {"draws": draws}),
    ):
        monkeypatch.setattr(Checkpoints, "save", lambda self, *kept, wrong=wrong: save(self, *wrong(*kept)))
        pieces, _ = in_pieces(lambda: make_context("classify", SETTINGS), lambda number: 4 if number == 1 else 99)
        assert not all(torch.equal(value, pieces.weights[name]) for name, value in whole.weights.items())


@pytest.mark.parametrize("where", ["_judge", "_why_stopped", "_save"])
def test_cut_between_the_steps(where: str, make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the judgement of an epoch, after it, and before a checkpoint is written."""
    whole = trained(make_context("classify", SETTINGS))
    contexts = [make_context("classify", SETTINGS) for _ in range(3)]
    real = getattr(loop._Descent, where)

    def dies_the_second_time(self: Any, *arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise Cut
        return real(self, *arguments)

    for context in contexts[:2]:
        context.run.work = contexts[2].run.work
        calls: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(loop._Descent, where, dies_the_second_time)
            with pytest.raises(Cut):
                trained(context)
    assert same(whole, trained(contexts[2]))
    assert any(record["event"] == "resumed" for record in contexts[2].run.told)


def test_a_training_that_had_ended_comes_back_at_once(make_context: Make) -> None:
    first, again = make_context("classify", SETTINGS), make_context("classify", SETTINGS)
    whole = trained(first)
    again.run.work = first.run.work
    assert same(whole, trained(again))
    assert made(again) == 0


@pytest.mark.parametrize(
    ("settings", "stopped"),
    [({"fit.learning_rate": 1e-12, "fit.patience": 2}, "no gain"), ({"fit.learning_rate": 1e30}, "loss is not finite")],
)
def test_the_other_ways_to_end(settings: dict[str, Any], stopped: str, make_context: Make) -> None:
    chosen = SETTINGS | {"fit.epochs": 9} | settings
    whole = trained(make_context("classify", chosen))
    assert whole.facts["stopped"] == stopped
    pieces, counts = in_pieces(lambda: make_context("classify", chosen), lambda number: 2 if number == 1 else 99)
    assert same(whole, pieces)
    assert len(counts) == 2 or stopped == "loss is not finite"


def test_the_minutes_already_spent_count(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a second by the clock. Where the minutes cut the plan, they cut it as in a run without a stop."""
    settings = SETTINGS | {"fit.epochs": 30, "fit.minutes": 1.0}
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    real = loop._Descent._stepped

    def stepped(self: Any, index: Any) -> bool:
        clock.now += 1.0
        return real(self, index)

    monkeypatch.setattr(loop._Descent, "_stepped", stepped)
    whole = trained(make_context("classify", settings))
    assert whole.facts["stopped"] == "minutes"
    assert 44 <= whole.facts["steps"] <= 47

    def later() -> Any:
        clock.now += 1_000.0  # between a kill and the next start any time may pass
        return make_context("classify", settings)

    pieces, counts = in_pieces(later, lambda number: 13)
    assert same(whole, pieces)
    assert len(counts) == 4


def test_an_interrupted_training_is_no_ended_one(make_context: Make) -> None:
    """Stopped by Ctrl-C, then killed before it shipped: the next start goes on to the end."""
    whole = trained(make_context("classify", SETTINGS))
    first, again = make_context("classify", SETTINGS), make_context("classify", SETTINGS)
    told = first.run.told.append

    def listen(record: dict[str, Any]) -> None:
        told(record)
        first.run.interrupted = first.run.interrupted or made(first) == 7

    first.run._listener = listen
    assert trained(first).facts["stopped"] == "interrupted"
    again.run.work = first.run.work
    assert same(whole, trained(again))
    assert made(again) == STEPS - 7


def test_smaller_pieces_after_a_lack_of_memory_stay_small(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = make_context("classify", SETTINGS), make_context("classify", SETTINGS)
    real, lacks, budgets = Pieces._added_up, [True], []

    def added_up(self: Any, index: Any, step: int) -> float:
        if lacks and lacks.pop():
            raise MemoryError
        budgets.append(self.budget)
        return real(self, index, step)

    monkeypatch.setattr(Pieces, "_added_up", added_up)
    cut_at(first, 3)
    with pytest.raises(Cut):
        trained(first)
    again.run.work = first.run.work
    trained(again)
    assert set(budgets) == {STEP_BUDGET // 2}


def test_what_a_course_carries_comes_back(make_context: Make) -> None:
    def carried(context: Any) -> tuple[dict[str, torch.Tensor], Any]:
        model = Model(context.copy_of_encoder(), context.new_head())
        kept = {"sum": torch.zeros(1)}
        course = replace(context.course("full", model), after_step=lambda step, _: kept["sum"].add_(step), carried=kept)
        return kept, lambda: descend(course, model)

    first, again = make_context("classify", SETTINGS), make_context("classify", SETTINGS)
    cut_at(first, 6)
    _, train = carried(first)
    with pytest.raises(Cut):
        train()
    again.run.work = first.run.work
    kept, train = carried(again)
    train()
    assert kept["sum"].item() == STEPS * (STEPS + 1) / 2


def test_two_courses_of_one_name_do_not_meet(make_context: Make) -> None:
    context = make_context("classify", SETTINGS)
    folders = [context.course("full", Model(context.copy_of_encoder(), context.new_head())).checkpoints for _ in "ab"]
    assert [folder.name.rpartition("-")[0] for folder in folders] == ["full-1", "full-2"]
    assert folders[0].parent == context.run.work / "checkpoints"


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "model.safetensors"])
def test_another_backbone_in_the_same_place_begins_anew(
    file: str, make_context: Make, tiny_backbone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "backbone"
    folder.mkdir()
    for path in tiny_backbone.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    changed = {
        "tokenizer.json": (b"[UNK]", b"[unk]"),
        "config.json": (b'"layer_norm_eps": 1e-12', b'"layer_norm_eps": 1e-11'),
        "model.safetensors": None,
    }[file]

    def place() -> str:
        context = make_context("classify", SETTINGS, backbone=folder)
        return str(context.course("full", Model(context.copy_of_encoder(), context.new_head())).checkpoints.name)

    before = place()
    assert place() == before
    content = (folder / file).read_bytes()
    turned = content[:-1] + bytes([content[-1] ^ 1]) if changed is None else content.replace(*changed)
    assert turned != content
    (folder / file).write_bytes(turned)
    assert place() != before


@pytest.mark.parametrize("threads", [1, 2])
def test_another_number_of_threads_is_said(threads: int, make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = make_context("classify", SETTINGS), make_context("classify", SETTINGS)
    cut_at(first, 3)
    with pytest.raises(Cut):
        trained(first)
    again.run.work = first.run.work
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    trained(again)
    (said,) = [record["say"] for record in again.run.told if record["event"] == "resumed"]
    assert said.startswith("full: goes on after step 2, from the last checkpoint")
    assert ("with 2 threads instead of 1 the last bits of the weights differ" in said) is (threads == 2)


def test_the_journal_goes_on_and_tells_from_where(make_context: Make) -> None:
    """Cut after step 7, with a checkpoint after step 6: that step is made and told once more."""
    first, again = make_context("classify", SETTINGS), make_context("classify", SETTINGS)
    cut_at(first, 7)
    with pytest.raises(Cut):
        trained(first)
    again.run.work = first.run.work
    with open(again.run.journal.path, "ab") as file:
        file.write(b'{"event": "step", "seconds": 1.0, "meth')
    whole = trained(again)
    records = read_journal(again.run.journal.path)
    assert [one["step"] for one in records if one["event"] == "begin"] == [0, 6]
    (curve,) = curves(records, again.run.work.name)
    assert [value for _, value in curve["score"]] == whole.best.scores
    steps = [step for step, _ in curve["loss"]]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS
