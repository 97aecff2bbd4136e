"""The gradient loop: repeatable to the bit, never worse than its start, and every way in which it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core import run as run_module
from tunewright.core.journal import read_journal
from tunewright.core.run import Run
from tunewright.train import moving
from tunewright.train.course import Model, decayed
from tunewright.train.feed import Feed
from tunewright.train.loop import descend
from tunewright.train.moving import Moving, share_kept
from tunewright.train.plan import Plan
from tunewright.train.step import Piece, plain

Make = Callable[..., Any]
LEARNING = {"fit.epochs": 3, "fit.learning_rate": 3e-3, "fit.batch_rows": 8, "fit.average": 0.0, "fit.patience": 9}


def model_of(context: Any) -> Model:
    return Model(context.copy_of_encoder(), context.new_head())


def descended(context: Any, model: Model | None = None) -> tuple[Any, dict[str, Any]]:
    """The best (with its model) and the facts of a training with all parameters."""
    model = model or model_of(context)
    best, facts = descend(context.course("full", model), model)
    return SimpleNamespace(**vars(best), model=model), facts


def said(context: Any) -> str:
    return " / ".join(record.get("say", "") for record in context.run.told)


def states(best: Any) -> dict[str, torch.Tensor]:
    return best.model.state_dict()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The run's clock: ``clock.now`` in seconds, moved by the test alone."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def at_each_step(context: Any, call: Callable[[int], None]) -> None:
    """Call with the number of steps made so far."""
    told, count = context.run.told.append, iter(range(1, 10**6))

    def listen(record: dict[str, Any]) -> None:
        told(record)
        if record["event"] == "progress" and record["stage"] == "train":
            call(next(count))

    context.run._listener = listen


@pytest.mark.parametrize("average", [0.0, 0.99])
def test_the_same_seed_gives_the_same_bits(average: float, make_context: Make) -> None:
    settings = LEARNING | {"fit.average": average}
    (one, facts), (other, again) = (descended(make_context("classify", settings)) for _ in range(2))
    assert facts == again
    assert facts["best_step"] > 0
    assert all(torch.equal(value, states(other)[name]) for name, value in states(one).items())
    third, _ = descended(make_context("classify", settings | {"seed": 1}))
    assert not torch.equal(states(third)["head.pooled.linear.weight"], states(one)["head.pooled.linear.weight"])


@pytest.mark.parametrize("rate", [1e-4, 3e-3, 1.0])
def test_the_result_is_never_worse_than_the_start(rate: float, make_context: Make) -> None:
    context = make_context("classify", LEARNING | {"fit.learning_rate": rate})
    best, facts = descended(context)
    assert best.score == max(facts["scores"]) >= facts["scores"][0]
    assert facts["scores"].index(best.score) == (0 if not facts["best_step"] else facts["best_step"] // 10)
    assert context.kind.row_score(best.outputs, context.validation.truth).mean() == pytest.approx(best.score, abs=1e-6)


def test_where_nothing_is_gained_the_start_itself_comes_back(make_context: Make) -> None:
    context = make_context("classify", LEARNING | {"fit.learning_rate": 1e-12})
    best, facts = descended(context)
    assert facts["best_step"] == 0
    for name, value in context.whole(best.model.encoder).state_dict().items():
        assert torch.equal(context.backbone.encoder.state_dict()[name], value)


def test_the_loss_falls(make_context: Make) -> None:
    context = make_context("classify", LEARNING | {"fit.epochs": 8, "fit.learning_rate": 5e-3})
    descended(context)
    losses = [record["loss"] for record in context.run.told if record["event"] == "progress" and "loss" in record]
    assert len(losses) == 80
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_patience_ends_it(make_context: Make) -> None:
    settings = LEARNING | {"fit.epochs": 9, "fit.learning_rate": 1e-12, "fit.patience": 2}
    _, facts = descended(make_context("classify", settings))
    assert (facts["stopped"], facts["steps"], len(facts["scores"])) == ("no gain", 20, 3)


def test_all_epochs(make_context: Make) -> None:
    _, facts = descended(make_context("classify", LEARNING))
    assert (facts["stopped"], facts["steps"], len(facts["scores"])) == ("epochs", 30, 4)


def plan(steps: int, **settings: Any) -> Plan:
    run = SimpleNamespace(elapsed=0.0, seconds=600.0, left=600.0)
    return Plan(steps, run=run, **{"rate": 1.0, "warmup": 0.1} | settings)  # type: ignore[arg-type]


def test_the_step_size_rises_over_the_warm_up_and_falls_to_zero_along_a_line() -> None:
    made = plan(99)
    rates = [made.rate(step) for step in range(99)]
    np.testing.assert_allclose(rates[:9], np.arange(1, 10) / 10, atol=1e-12)
    np.testing.assert_allclose(rates[9:], 1 - np.arange(90) / 90, atol=1e-12)
    assert max(rates) == rates[9] == 1.0


def test_without_warm_up_it_starts_near_its_peak() -> None:
    made = plan(9, rate=2.0, warmup=0.0)
    np.testing.assert_allclose([made.rate(step) for step in range(9)], 2 * (1 - np.arange(1, 10) / 10))


def test_the_minutes_cut_the_plan_in_time(make_context: Make, clock: SimpleNamespace) -> None:
    """A step takes a second by the clock; of a minute a quarter is kept back, so about 45 of 300 steps are made."""
    context = make_context("classify", LEARNING | {"fit.epochs": 30, "fit.minutes": 1.0})
    rates: list[float] = []
    rate = Plan.rate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "rate", lambda self, step: rates.append(rate(self, step)) or rates[-1])
        at_each_step(context, lambda step: setattr(clock, "now", clock.now + 1.0))
        _, facts = descended(context)
    assert facts["stopped"] == "minutes"
    assert 44 <= facts["steps"] <= 47
    assert clock.now <= 60 - 15 + 2
    assert rates[-1] < 0.05 * 3e-3, "the step size has come down to zero when the time is over"


def test_time_that_is_over_between_two_looks_ends_it_at_once(make_context: Make, clock: SimpleNamespace) -> None:
    context = make_context("classify", LEARNING | {"fit.epochs": 30, "fit.minutes": 1.0})
    at_each_step(context, lambda step: setattr(clock, "now", 61.0 if step == 7 else clock.now + 0.01))
    _, facts = descended(context)
    assert (facts["stopped"], facts["steps"], len(facts["scores"])) == ("minutes", 7, 2)


def test_an_interrupt_keeps_the_best_so_far(make_context: Make) -> None:
    context = make_context("classify", LEARNING | {"fit.epochs": 30})
    at_each_step(context, lambda step: setattr(context.run, "interrupted", step >= 23))
    best, facts = descended(context)
    assert (facts["stopped"], facts["steps"], len(facts["scores"])) == ("interrupted", 23, 4)
    assert best.score == max(facts["scores"])


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_loss_that_is_not_finite_keeps_the_best_and_names_the_setting(average: float, make_context: Make) -> None:
    settings = LEARNING | {"fit.epochs": 30, "fit.learning_rate": 1e30, "fit.average": average}
    context = make_context("classify", settings)
    best, facts = descended(context)
    assert facts["stopped"] == "loss is not finite"
    assert all(torch.isfinite(value).all() for value in states(best).values())
    assert np.isfinite(best.outputs).all()
    assert "the loss is not finite at step" in said(context)
    assert "lower fit.learning_rate (now 1e+30)" in said(context)
    lines = (Path(context.run.folder) / "run.jsonl").read_text(encoding="utf-8").splitlines()
    assert [one["event"] for one in map(json.loads, lines)].count("astray") == 1


def test_the_moving_average_as_a_formula() -> None:
    assert [share_kept(0.5, steps) for steps in (1, 2, 7, 8, 100)] == [2 / 11, 3 / 12, 8 / 17, 0.5, 0.5]
    model = torch.nn.Linear(1, 1, bias=False)
    kept = Moving(model, 0.5)
    values = [3.0, 1.0, -2.0]
    for value in values:
        torch.nn.init.constant_(model.weight, value)
        kept.after_step()
    expected = values[0]
    for steps, value in enumerate(values[1:], start=1):
        expected = share_kept(0.5, steps) * expected + (1 - share_kept(0.5, steps)) * value
    with kept.as_shipped():
        assert model.weight.item() == pytest.approx(expected)
    assert model.weight.item() == values[-1]


def test_the_average_is_what_is_judged_and_kept(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a memory that never ends the average stays at the first step, whatever follows."""
    monkeypatch.setattr(moving, "share_kept", lambda decay, steps: 1.0)
    context = make_context("classify", LEARNING | {"fit.average": 0.9})
    _, facts = descended(context)
    assert len(set(facts["scores"][1:])) == 1


def test_matrices_decay_and_vectors_do_not(make_context: Make) -> None:
    model = model_of(make_context())
    matrices, vectors = decayed(model, 0.1)
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0.0)
    assert {one.ndim for one in matrices["params"]} == {2}
    assert {one.ndim for one in vectors["params"]} == {1}
    model.encoder.requires_grad_(False)
    assert sum(len(group["params"]) for group in decayed(model, 0.1)) == 2


def test_a_step_in_pieces_is_the_step(make_context: Make, tiny_backbone: Path, tmp_path: Path) -> None:
    """Without dropout a batch computed in pieces of 40 tokens moves the weights as the batch at once does."""
    folder = tmp_path / "no-dropout"
    folder.mkdir()
    for path in tiny_backbone.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config | off), encoding="utf-8")
    gradients = []
    for budget in (100_000, 40):
        context = make_context("classify", LEARNING, backbone=folder)
        model = model_of(context)
        learnt = Feed(context.train.windows, context.train.wanted, context.backbone.modality.batch)
        loss = 0.0
        for rows, weights in learnt.pieces(np.arange(24), budget):
            shares = torch.from_numpy(weights).float()
            inputs, truth = learnt.inputs(rows, context.device), learnt.truth(rows, context.device)
            loss += plain(model, Piece(inputs, truth, shares, model.head.loss)).item()
        gradients.append((loss, [one.grad for one in model.parameters() if one.grad is not None]))
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-5)
    for one, other in zip(gradients[0][1], gradients[1][1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-3)


def test_batches_hold_rows_of_like_length_and_change_from_epoch_to_epoch(make_context: Make) -> None:
    context = make_context(intents=8)
    examples = context.train
    learnt = Feed(examples.windows, examples.wanted, context.backbone.modality.batch)
    draws = np.random.default_rng(0)
    one, other = ([batch.tolist() for batch in learnt.epoch(16, draws)] for _ in range(2))
    for epoch in (one, other):
        assert sorted(row for batch in epoch for row in batch) == list(range(160))
    assert one != other
    cost = examples.windows.cost
    spread = np.mean([np.std(cost[batch]) for batch in one])
    assert spread < 0.5 * np.std(cost)


def test_the_time_left_is_that_of_the_steps_or_of_the_minutes(clock: SimpleNamespace, tmp_path: Path) -> None:
    made = Plan(100, 0.1, 0.1, Run(tmp_path, tmp_path / "out", 5))
    clock.now = 30.0
    assert made.left_seconds(10) == pytest.approx(270.0), "90 steps of 3 seconds, and 270 seconds of the minutes"
    assert made.left_seconds(20) == pytest.approx(80 * 1.5)
    assert made.left_seconds(1) == pytest.approx(270.0), "not the 2,970 seconds of the steps"
    assert made.left_seconds(100) == 0.0
    clock.now = 400.0
    assert made.left_seconds(50) == 0.0


def test_the_journal_holds_the_whole_training(make_context: Make, clock: SimpleNamespace) -> None:
    """The first step has a line at once; then ten make an epoch, before whose judgement the rest is told."""
    context = make_context("classify", LEARNING | {"fit.minutes": 60})
    at_each_step(context, lambda step: setattr(clock, "now", clock.now + 1.0))
    best, facts = descended(context)
    records = read_journal(context.run.journal.path)
    assert [(one["event"], one["step"]) for one in records] == [
        *(("begin", 0), ("step", 1)),
        *((event, step) for step in (10, 20, 30) for event in ("step", "epoch")),
    ]
    begin, steps = records[0], [one for one in records if one["event"] == "step"]
    assert (begin["method"], begin["course"], begin["step"], begin["steps"]) == ("full", "full", 0, 30)
    assert (begin["metric"], begin["unit"]) == (context.kind.headline[0], "tokens")
    assert begin["trainable_parameters"] == facts["trainable_parameters"]
    assert [begin["score"], *(one["score"] for one in records if one["event"] == "epoch")] == best.scores
    assert [one["step"] for one in records if one["event"] == "epoch"] == [10, 20, 30]
    assert records[-1]["best"] == best.score
    plan = Plan(30, 3e-3, 0.1, context.run)
    assert [one["learning_rate"] for one in steps] == pytest.approx([plan.rate(one["step"] - 1) for one in steps])
    assert all(one["loss"] > 0 and one["cost_per_second"] > 0 for one in steps)


def test_a_second_training_by_one_method_is_told_apart(make_context: Make) -> None:
    context = make_context("classify", LEARNING | {"fit.epochs": 1})
    for _ in range(2):
        descended(context)
    assert [one["course"] for one in read_journal(context.run.journal.path) if one["event"] == "epoch"] == [
        "full",
        "full-2",
    ]
