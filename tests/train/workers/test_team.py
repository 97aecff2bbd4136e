"""Processes that train together: they agree, their gradients add up, and the result is that of one process.

They are forks of a process that has only imported: a fork of the one that runs the tests would inherit the locks of
whatever the tests before began. Run as a program, this file is that process.
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from ray import cloudpickle
from torch import nn

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.sections import Fit
from tunewright.core.types import Windows
from tunewright.methods._pairs import Pairs
from tunewright.train import checkpoint
from tunewright.train.course import Course
from tunewright.train.feed import Feed
from tunewright.train.loop import descend, descend_here
from tunewright.train.workers.team import ALONE, Team

Together = Callable[..., list[Any]]
ROWS, WIDTH = 40, 6


class Net(nn.Module):
    """Two layers; ``idle`` takes no part, ``noise`` is dropout."""

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.hidden, self.out = nn.Linear(WIDTH, 8), nn.Linear(8, 1)
        self.idle = nn.Linear(2, 2)
        self.noise = nn.Dropout(noise)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.noise(torch.tanh(self.hidden(x))))


def feed() -> Feed:
    draws = np.random.default_rng(0)
    x = draws.normal(size=(ROWS, WIDTH)).astype(np.float32)
    truth = (x @ draws.normal(size=WIDTH)).astype(np.float32)
    # Some rows have two windows, so that rows weigh otherwise than windows do.
    owner = np.sort(np.concatenate([np.arange(ROWS - 8), np.arange(8)]))
    windows = Windows(ROWS - 8, owner, draws.integers(1, 30, ROWS), {"x": x}, None)
    return Feed(windows, truth, lambda windows, index: {"x": windows.data["x"][index]})


def course(folder: Path, told: list[dict[str, Any]] | None = None, **fit: Any) -> Course:
    given = feed()
    run = Run(folder, folder / "out", 5.0, told.append if told is not None else None)
    run.work = folder / "work"

    def judge(model: nn.Module) -> tuple[float, str]:
        model.eval()
        with torch.no_grad():
            every = np.arange(ROWS)
            off = model(torch.from_numpy(given.windows.data["x"]))[:, 0]
            return -float(((off - given.truth(every, torch.device("cpu"))) ** 2).mean()), "outputs"

    own = {"epochs": 3, "batch_rows": 16, "average": 0.0, "patience": 9, "learning_rate": 1e-2} | fit
    return Course(
        name="net",
        checkpoints=folder / "checkpoints",
        feed=given,
        loss=lambda outputs, truth: (outputs[:, 0] - truth) ** 2,
        judge=judge,
        metric="score",
        fit=Fit(**own),
        seed=1,
        rate=1e-2,
        run=run,
        device=torch.device("cpu"),
        bf16=False,
    )


def trained(team: Team, folder: Path, noise: float = 0.0, **fit: Any) -> SimpleNamespace:
    told: list[dict[str, Any]] = []
    model = Net(noise)
    best, facts = descend_here(course(folder, told, **fit), model, team)
    weights = {name: one.detach().clone() for name, one in model.state_dict().items()}
    return SimpleNamespace(weights=weights, facts=facts, outputs=best.outputs, scores=best.scores, told=told)


def serve() -> None:
    """Read folders, one a line, and run the work that lies in each in as many forks as the line says."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        size, port, folder = line.rstrip("\n").split(" ", 2)
        members = [_forked(rank, int(size), port, Path(folder)) for rank in range(int(size))]
        codes = [os.waitstatus_to_exitcode(os.waitpid(member, 0)[1]) for member in members]
        print(*codes, flush=True)


def _forked(rank: int, size: int, port: str, folder: Path) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        _member(rank, size, port, folder)
        code = 0
    except BaseException:
        Path(folder, f"said-{rank}").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(code)


def _member(rank: int, size: int, port: str, folder: Path) -> None:
    work = pickle.loads(Path(folder, "work").read_bytes())
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=size)
    try:
        made = work(Team(rank, size), folder)
    except TunewrightError as error:
        made = error
    Path(folder, f"made-{rank}").write_bytes(pickle.dumps(made))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def together() -> Iterator[Together]:
    """Makes ``work(team, folder)`` run in ``size`` processes; what each of them made."""
    forks = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert forks.stdin is not None
    assert forks.stdout is not None
    cloudpickle.register_pickle_by_value(sys.modules[__name__])

    def run(work: Callable[[Team, Path], Any], folder: Path, size: int = 2) -> list[Any]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder.mkdir(exist_ok=True)
        Path(folder, "work").write_bytes(cloudpickle.dumps(work))
        print(size, port, folder, file=forks.stdin, flush=True)
        codes = forks.stdout.readline()
        assert codes.split() == ["0"] * size, [one.read_text() for one in folder.glob("said-*")]
        return [pickle.loads(Path(folder, f"made-{rank}").read_bytes()) for rank in range(size)]

    yield run
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    forks.stdin.close()
    forks.wait(timeout=30)
    forks.stdout.close()


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """As those in the forks compute, to be compared with them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def close(one: SimpleNamespace, other: SimpleNamespace) -> bool:
    return all(torch.allclose(value, other.weights[name], atol=1e-5) for name, value in one.weights.items())


def test_they_say_what_the_first_says(together: Together, tmp_path: Path) -> None:
    def work(team: Team, _: Path) -> Any:
        team_value = torch.full((3,), float(team.rank))
        team.spread([team_value])
        return team.agree(("said", team.rank)), team.agree_on(team.rank + 0.5, team.rank), team_value.tolist()

    assert together(work, tmp_path, 3) == [(("said", 0), [0.5, 0.0], [0.0, 0.0, 0.0])] * 3
    assert ALONE.agree("said") == "said"
    assert ALONE.agree_on(0.5, 7) == [0.5, 7]


def test_gradients_and_losses_add_up_and_a_gradient_that_nobody_has_stays_none(
    together: Together, tmp_path: Path
) -> None:
    def work(team: Team, _: Path) -> Any:
        both, one, none = (nn.Parameter(torch.zeros(2, 3)) for _ in range(3))
        both.grad = torch.arange(6.0).view(2, 3) * (team.rank + 1)
        one.grad = torch.ones(2, 3) if team.rank == 1 else None
        loss = team.add_up([both, one, none], 10.0 * (team.rank + 1))
        return both.grad.tolist(), one.grad.tolist(), none.grad, loss

    expected = ((torch.arange(6.0).view(2, 3) * 3).tolist(), torch.ones(2, 3).tolist(), None, 30.0)
    assert together(work, tmp_path) == [expected] * 2


def test_weights_that_differ_are_noticed(together: Together, tmp_path: Path) -> None:
    def work(team: Team, _: Path) -> Any:
        same, other = torch.ones(4), torch.ones(4) + (1e-7 if team.rank else 0)
        return team.alike([same]), team.alike([same, other])

    assert together(work, tmp_path) == [(True, False)] * 2


@pytest.mark.parametrize("size", [2, 3])
def test_equal_global_batches_give_equal_results(size: int, together: Together, tmp_path: Path) -> None:
    """Three epochs of three steps, the last with 8 rows; pieces of one process and of several are not the same."""
    alone = trained(ALONE, tmp_path / "alone")
    several = together(trained, tmp_path / "several", size)
    assert close(alone, several[0])
    assert not close(SimpleNamespace(weights=Net().state_dict()), alone)
    assert np.allclose(alone.scores, several[0].scores, atol=1e-4)
    for one in several[1:]:
        assert all(torch.equal(value, one.weights[name]) for name, value in several[0].weights.items())
    assert [one.outputs for one in several] == ["outputs", *[None] * (size - 1)]
    assert (alone.facts.get("workers"), several[0].facts["workers"]) == (None, size)


def test_more_processes_than_rows_of_a_step(together: Together, tmp_path: Path) -> None:
    alone = trained(ALONE, tmp_path / "alone", batch_rows=1, epochs=1)
    assert close(alone, together(lambda team, folder: trained(team, folder, batch_rows=1, epochs=1), tmp_path / "b")[0])


def test_dropout_is_drawn_apart_and_the_weights_stay_together(together: Together, tmp_path: Path) -> None:
    def work(team: Team, folder: Path) -> Any:
        team.draw_apart(1, 5)
        return torch.rand(3).tolist(), trained(team, folder, noise=0.5)

    torch.manual_seed(0)
    (first, one), (second, other) = together(work, tmp_path)
    assert first != second
    assert all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())


def test_the_first_ones_clock_ends_it_for_all(together: Together, tmp_path: Path) -> None:
    """The others' minutes are over from the start, which nobody asks for."""

    def work(team: Team, folder: Path) -> Any:
        made = course(folder, epochs=50, batch_rows=4)
        steps = iter(range(1000))
        if team.first:

            def listen(record: dict[str, Any]) -> None:
                if record["event"] == "progress" and next(steps) == 17:
                    made.run.interrupted = True

            made.run._listener = listen
        else:
            made.run.seconds = 0.0
        return descend_here(made, Net(), team)[1]

    one, other = together(work, tmp_path)
    assert one == other
    assert (one["stopped"], one["steps"]) == ("interrupted", 18)


def test_what_a_judgement_changes_changes_everywhere(together: Together, tmp_path: Path) -> None:
    def work(team: Team, folder: Path) -> Any:
        made, model = course(folder), Net()

        def judge(model: Any) -> tuple[float, None]:
            with torch.no_grad():
                model.out.bias.fill_(float(len(calls)))
            calls.append(team.rank)
            return float(len(calls)), None

        calls: list[int] = []
        descend_here(replace(made, judge=judge), model, team)
        return calls, model.out.bias.tolist()

    assert together(work, tmp_path) == [([0] * 4, [3.0]), ([], [3.0])]


def test_weights_that_drift_apart_stop_the_training(together: Together, tmp_path: Path) -> None:
    def work(team: Team, folder: Path) -> Any:
        model = Net()

        def after_step(step: int, planned: int) -> None:
            if team.rank and step == 2:
                model.out.bias.data += 1e-6

        descend_here(replace(course(folder), after_step=after_step), model, team)

    errors = together(work, tmp_path)
    assert {str(error) for error in errors} == {
        "net: after epoch 1 the workers' weights differ → use machines of one kind, or --workers 1"
    }


def test_it_goes_on_from_the_checkpoint_of_the_first(together: Together, tmp_path: Path) -> None:
    """Cut short after 4 steps, with dropout: the same weights, to the bit, as without a stop."""

    def whole_training(team: Team, folder: Path) -> SimpleNamespace:
        checkpoint.SECONDS, checkpoint.SHARE = 0.0, float("inf")  # one after every step
        return trained(team, folder, noise=0.5)

    class Cut(Exception):
        pass

    def cut(team: Team, folder: Path) -> None:
        checkpoint.SECONDS, checkpoint.SHARE = 0.0, float("inf")
        made, steps = course(folder), iter(range(1, 1000))

        def after_step(step: int, planned: int) -> None:
            if next(steps) == 5:
                raise Cut

        with pytest.raises(Cut):
            descend_here(replace(made, after_step=after_step), Net(0.5), team)

    whole = together(whole_training, tmp_path / "whole")
    together(cut, tmp_path / "cut")
    assert len(list((tmp_path / "cut" / "checkpoints").glob("*.safetensors"))) == 2
    pieces = together(whole_training, tmp_path / "cut")
    assert "net: goes on after step 4" in " ".join(record.get("say", "") for record in pieces[0].told)
    for one, other in zip(whole, pieces, strict=True):
        assert all(torch.equal(value, other.weights[name]) for name, value in one.weights.items())
    again = trained(ALONE, tmp_path / "cut", noise=0.5)
    assert "1 workers instead of 2 draw other numbers" in " ".join(record.get("say", "") for record in again.told)


def test_the_shares_of_a_step_are_all_of_it() -> None:
    given = feed()
    index = np.random.default_rng(1).permutation(ROWS)[:17]
    shares = [given.own(index, rank, 3) for rank in range(3)]
    assert sorted(np.concatenate([own for own, _ in shares])) == sorted(index)
    assert sum(part for _, part in shares) == pytest.approx(1.0)
    weights = given.windows.share()
    for own, part in shares:
        assert part == pytest.approx(weights[own].sum() / weights[index].sum())
    costs = [int(given.windows.cost[own].sum()) for own, _ in shares]
    assert max(costs) - min(costs) <= given.windows.cost[index].max()
    assert given.own(index, 0, 1)[0] is index


def test_pairs_stay_together() -> None:
    given = feed()
    pairs = Pairs(
        given.windows, np.arange(ROWS), given.batch, chosen=np.arange(ROWS), near=np.zeros((ROWS, 1)), steps=1, rows=14
    )
    index = np.arange(14)[::-1]
    shares = [pairs.own(index, rank, 3)[0].tolist() for rank in range(3)]
    assert shares == [[13, 12, 11, 10, 9, 8], [7, 6, 5, 4], [3, 2, 1, 0]]
    assert sum(pairs.own(index, rank, 3)[1] for rank in range(3)) == pytest.approx(1.0)


def test_a_run_may_train_elsewhere(tmp_path: Path) -> None:
    made = course(tmp_path)
    made.run.elsewhere = lambda course, model: ("best", {"course": course.name, "model": type(model).__name__})
    assert descend(made, Net()) == ("best", {"course": "net", "model": "Net"})


if __name__ == "__main__":
    serve()
