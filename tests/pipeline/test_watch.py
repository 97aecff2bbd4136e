"""Watchers of a run: they are told all of it, and neither their failures nor their delays stop a training."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tunewright
from tunewright import samples
from tunewright.core import plugins
from tunewright.core.errors import GateMissed, Interrupted, TunewrightError
from tunewright.core.journal import Following, read_journal
from tunewright.core.run import Run
from tunewright.core.task import Task, read_task
from tunewright.pipeline import watch
from tunewright.pipeline.tasks import portable
from tunewright.pipeline.watch import watchers_of, watching

TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")


def task_of(watchers: str) -> Task:
    return read_task(None, {"fit.watch": watchers})[0]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def run(tmp_path: Path, said: list[str]) -> Run:
    run = Run(tmp_path, tmp_path / "intents", 5, lambda record: said.append(record.get("say", "")))
    run.work = tmp_path / "work-1"
    return run


class Recorder:
    """A watcher that remembers what it is told; ``fails`` says when it raises."""

    def __init__(self, fails: str = "") -> None:
        self.told: list[str] = []
        self.fails = fails
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, following: Following) -> Recorder:
        self.following = following
        self._raise("open")
        return self

    def note(self, record: dict[str, Any]) -> None:
        self.gate.wait(10)
        self.told.append(record["event"])
        self._raise(record["event"])

    def close(self, ended: str) -> None:
        self.told.append(f"closed: {ended}")
        self._raise("close")

    def _raise(self, where: str) -> None:
        if self.fails == where:
            raise ConnectionError("server\n  gone")


@pytest.fixture
def watcher(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(watch, "plugins", SimpleNamespace(load=lambda folder, name: recorder))
    return recorder


def train(run: Run) -> None:
    run.log("settings", settings={"seed": [0, "default"]})
    run.note("begin", method="full", course="full", step=0)
    for step in range(1, 4):
        run.log("epoch", method="full", step=step, metric="accuracy", score=0.5, best=0.5, say=f"epoch {step}")


ALL = ["settings", "begin", "epoch", "epoch", "epoch", "end"]


def test_a_watcher_is_told_everything_from_the_settings_to_the_end(run: Run, watcher: Recorder) -> None:
    with watching(run, task_of("acme")):
        train(run)
    assert watcher.told == [*ALL, "closed: finished"]
    assert watcher.following == Following("intents", run.folder, run.work)
    assert [one["event"] for one in read_journal(run.journal.path)] == ALL
    assert run.work.is_dir(), "it may keep something there"


def test_without_a_training_no_watcher_is_made(run: Run, watcher: Recorder) -> None:
    def read() -> None:
        with watching(run, task_of("acme")):
            run.log("settings", settings={})
            raise TunewrightError("no rows", "add some")

    with pytest.raises(TunewrightError, match="no rows"):
        read()
    assert watcher.told == []
    assert not run.work.exists()


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (None, "finished"),
        (GateMissed("a", "b"), "refused"),
        (Interrupted("a", "b"), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (ValueError("broken"), "failed"),
    ],
)
def test_how_the_run_ended_is_told(run: Run, watcher: Recorder, error: BaseException | None, ended: str) -> None:
    def end() -> None:
        with watching(run, task_of("acme")):
            train(run)
            if error is not None:
                raise error

    if error is None:
        end()
    else:
        with pytest.raises(type(error)):
            end()
    assert watcher.told[-1] == f"closed: {ended}"
    assert read_journal(run.journal.path)[-1]["ended"] == ended


def test_the_best_that_an_interrupted_run_ships_is_told_as_such(run: Run, watcher: Recorder) -> None:
    with watching(run, task_of("acme")):
        train(run)
        run.interrupted = True
    assert watcher.told[-1] == "closed: interrupted"


@pytest.mark.parametrize("fails", ["open", "begin", "epoch", "end", "close"])
def test_a_watcher_that_fails_is_switched_off_and_that_is_said_once(
    run: Run, watcher: Recorder, said: list[str], fails: str
) -> None:
    watcher.fails = fails
    with watching(run, task_of("acme")):
        for _ in range(5):
            train(run)
    off = [line for line in said if "switched off" in line]
    assert off == ["watcher acme is switched off: ConnectionError: server gone"]
    assert [one["event"] for one in read_journal(run.journal.path)] == [*ALL[:-1] * 5, "end"]


def test_a_watcher_that_hangs_holds_nothing_up(
    run: Run, watcher: Recorder, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WAITING", 8)
    watcher.gate.clear()
    with watching(run, task_of("acme")):
        for _ in range(9):
            train(run)
    assert [line for line in said if "switched off" in line] == ["watcher acme is switched off: it is 8 records behind"]
    watcher.gate.set()


def test_a_watcher_that_does_not_finish_is_left(
    run: Run, watcher: Recorder, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CLOSING_SECONDS", 0.05)
    watcher.gate.clear()
    with watching(run, task_of("acme")):
        train(run)
    assert [line for line in said if "switched off" in line] == [
        "watcher acme is switched off: it did not finish in 0 seconds"
    ]
    watcher.gate.set()


@pytest.mark.parametrize(
    ("written", "names"),
    [("", []), ("tensorboard", ["tensorboard"]), (" mlflow, wandb,mlflow ,", ["mlflow", "wandb"])],
)
def test_watchers_are_written_with_commas(written: str, names: list[str]) -> None:
    assert watchers_of(task_of(written)) == names


def test_an_unknown_watcher_is_named(run: Run) -> None:
    with pytest.raises(TunewrightError) as caught, watching(run, task_of("tensorbord")):
        pytest.fail("the run began")
    assert caught.value.problem == "there is no watcher 'tensorbord'"
    assert caught.value.remedy == "did you mean 'tensorboard'?"


@pytest.mark.parametrize(
    ("name", "library"), [("mlflow", "mlflow"), ("wandb", "wandb"), ("tensorboard", "tensorboardX")]
)
def test_a_library_that_is_not_installed_is_named(
    run: Run, name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [one for one in sys.modules if one.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, f"tunewright.train.watchers.{name}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(TunewrightError) as caught, watching(run, task_of(name)):
        pytest.fail("the run began")
    assert caught.value.problem == f"watcher '{name}' needs {library}, which is not installed"
    assert caught.value.remedy == f"pip install {library}, or leave {name} out of --watch"


@pytest.mark.parametrize("verb", ["fit", "pretrain"])
def test_the_command_line_tells_of_a_wrong_one_before_it_reads_anything(
    cli: Callable[..., Any], tmp_path: Path, verb: str
) -> None:
    columns = ("--text", "text", *(("--label", "intent") if verb == "fit" else ()))
    ran = cli(
        verb, tmp_path / "missing.csv", *columns, "--out", tmp_path / "out", "--watch", "tensorboard,wand", "--quiet"
    )
    assert ran.code == 2
    assert "there is no watcher 'wand'" in ran.err
    assert "did you mean 'wandb'?" in ran.err


def test_every_watcher_has_a_class_by_its_name() -> None:
    assert plugins.names("watchers") == ["mlflow", "tensorboard", "wandb"]
    assert plugins.load("watchers", "tensorboard").__name__ == "TensorboardWatcher"


def test_who_watches_is_no_part_of_a_task_that_ships() -> None:
    assert portable(task_of("tensorboard")) == portable(task_of(""))


@pytest.fixture(scope="module")
def fitted(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A small fit of two methods, with these watchers."""

    def fit(watchers: str) -> Path:
        out = tmp_path_factory.mktemp("watched") / "out"
        settings = {"fit.backbone": str(tiny_backbone), "fit.method": "full", "fit.epochs": 2, "fit.threads": 1}
        tunewright.fit(
            TRAIN, test=TEST, text="text", label="intent", out=out, settings=settings | {"fit.watch": watchers}
        )
        return out

    return fit


@pytest.mark.usefixtures("traced_once")
def test_a_fit_that_is_watched_makes_the_same_bundle(fitted: Callable[[str], Path]) -> None:
    plain, watched = fitted(""), fitted("tensorboard")
    told = [tunewright.load(out).manifest for out in (plain, watched)]
    assert told[0].digest == told[1].digest
    run = watched.with_name("out.run")
    assert not (plain.with_name("out.run") / "tensorboard").exists()
    assert not list(run.glob("work-*")), "nothing is left that the next run would take up"

    records = read_journal(run / "train.jsonl")
    assert [one["event"] for one in records if one["event"] not in ("step", "epoch")] == [
        *("settings", "rung", "begin", "rung"),
        *(["result"] * sum(one["event"] == "result" for one in records)),
        "end",
    ]
    scores = [one["score"] for one in records if one["event"] == "epoch"]
    board = EventAccumulator(str(run / "tensorboard" / "full")).Reload()
    assert [one.value for one in board.Scalars("validation/accuracy")][1:] == pytest.approx(scores)
    whole = EventAccumulator(str(run / "tensorboard")).Reload()
    assert whole.Scalars("final/accuracy")[0].value == pytest.approx(told[1].metrics["accuracy"]["value"])

    record = json.loads((watched / "report.json").read_text(encoding="utf-8"))
    (curve,) = record["training"]
    assert [value for _, value in curve["score"]][1:] == scores
    assert len(curve["loss"]) >= 2
    assert all(rung["peak_rss_bytes"] > 1e7 for rung in record["rungs"])
    assert (watched / "report.html").read_text(encoding="utf-8").count("Training of full") == 1
