"""Weights & Biases: the calls that its documentation names. The module is a stand-in."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

from tunewright.core.journal import Following


class WandbRun:
    """Remembers the calls; its signatures are those of the documentation."""

    def __init__(self, calls: list[tuple[str, Any]], id_: str | None) -> None:
        self.calls = calls
        self.id = id_ or "abc123"
        self.config = self.summary = self

    def update(self, values: dict[str, Any], allow_val_change: bool | None = None) -> None:
        self.calls.append(("config" if allow_val_change else "summary", values))

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        self.calls.append(("define_metric", (name, step_metric)))

    def log(self, data: dict[str, Any]) -> None:
        self.calls.append(("log", data))

    def finish(self, exit_code: int | None = None) -> None:
        self.calls.append(("finish", exit_code))


class Wandb(ModuleType):
    def __init__(self) -> None:
        super().__init__("wandb")
        self.calls: list[tuple[str, Any]] = []

    def init(self, *, name: str, dir: str, id: str | None, resume: str) -> WandbRun:  # noqa: A002
        self.calls.append(("init", {"name": name, "dir": dir, "id": id, "resume": resume}))
        return WandbRun(self.calls, id)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Wandb:
    fake = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delitem(sys.modules, "tunewright.train.watchers.wandb", raising=False)
    return fake


def told(following: Following, records: list[dict[str, Any]], ended: str = "finished") -> None:
    watcher = importlib.import_module("tunewright.train.watchers.wandb").WandbWatcher(following)
    for record in records:
        watcher.note(record)
    watcher.close(ended)


def test_the_calls_of_a_run(wandb: Wandb, following: Following, records: list[dict[str, Any]]) -> None:
    told(following, records)
    place = {"name": "intents", "dir": str(following.folder), "id": None, "resume": "allow"}
    assert wandb.calls[0] == ("init", place)
    assert wandb.calls[1] == ("config", {"fit.epochs": "3", "inputs.text 列": "text"})
    assert [one for name, one in wandb.calls if name == "define_metric"] == [
        (f"{course}/{name}", f"{course}/step" if name == "*" else None)
        for course in ("full", "contrastive-2")
        for name in ("step", "*")
    ]
    logged = [one for name, one in wandb.calls if name == "log"]
    assert logged[0] == {"full/step": 0, "full/validation/accuracy": 0.25, "full/validation/best": 0.25}
    assert (logged[1]["full/step"], logged[1]["full/loss"]) == (1, 2.0)
    assert [one for name, one in wandb.calls if name == "summary"][-2:] == [
        {"final/accuracy": 0.8},
        {"final/urgency/accuracy": 0.6},
    ]
    assert wandb.calls[-1] == ("finish", 0)


@pytest.mark.parametrize(("ended", "code"), [("finished", 0), ("refused", 1), ("interrupted", 1), ("failed", 1)])
def test_how_it_ended(wandb: Wandb, following: Following, ended: str, code: int) -> None:
    told(following, [], ended)
    assert wandb.calls[-1] == ("finish", code)


def test_after_a_kill_the_same_run_goes_on(wandb: Wandb, following: Following) -> None:
    told(following, [])
    told(following, [])
    assert [one["id"] for name, one in wandb.calls if name == "init"] == [None, "abc123"]
