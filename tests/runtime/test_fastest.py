"""Which way is chosen, by clocks that the test sets; what is remembered, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.runtime import fastest as module
from tunewright.runtime.fastest import MOST, fastest, named


class Way:
    """Takes so long for a call, by the clock of the test."""

    def __init__(self, clock: list[float], seconds: float, states: float = 1.0) -> None:
        self.clock, self.seconds, self.states = clock, seconds, states

    def __call__(self, arrays: dict[str, Any]) -> dict[str, Any]:
        self.clock[0] += self.seconds
        shape = (*arrays["input_ids"].shape, 4)
        return {"states": np.linspace(self.states, 1, int(np.prod(shape))).reshape(shape)}


class Ways:
    """Both ways, and which were made."""

    def __init__(self, clock: list[float], graph: float, native: float, states: float = 1.0) -> None:
        self.made: list[str] = []
        self._graph, self._native = Way(clock, graph), Way(clock, native, states)

    def choose(self, content: str = "an encoder", *, measure: bool = True) -> str:
        def made(name: str, way: Way) -> Any:
            self.made.append(name)
            return way

        ways = (lambda: made("graph", self._graph), lambda: made("native", self._native))
        chosen: Any = fastest(content, *ways, 9, measure=measure)
        return "graph" if chosen is self._graph else "native"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TUNEWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fastest.json"


@pytest.mark.parametrize(("graph", "native", "wins"), [(2.0, 1.0, "native"), (1.0, 2.0, "graph"), (1.0, 1.0, "graph")])
def test_the_faster_one_is_taken(clock: list[float], graph: float, native: float, wins: str) -> None:
    assert Ways(clock, graph, native).choose() == wins


def test_one_that_computes_something_else_is_not_taken(clock: list[float]) -> None:
    assert Ways(clock, 2.0, 1.0, states=-1.0).choose() == "graph"


@pytest.mark.parametrize(("native", "wins"), [(1.0, "native"), (3.0, "graph")])
def test_what_was_measured_is_remembered_and_the_other_is_not_made_again(
    clock: list[float], memory: Path, native: float, wins: str
) -> None:
    Ways(clock, 2.0, native).choose()
    assert list(json.loads(memory.read_text()).values()) == [wins]
    begun, later = clock[0], Ways(clock, 2.0, 3.0 if wins == "native" else 1.0)  # it is not measured again
    assert later.choose() == wins
    assert later.made == [wins]
    assert clock[0] == begun


def test_where_it_may_not_measure_it_takes_native_code_until_something_is_known(
    clock: list[float], memory: Path
) -> None:
    ways = Ways(clock, 1.0, 2.0)
    assert ways.choose(measure=False) == "native"
    assert ways.made == ["native"]
    assert not memory.exists()
    assert ways.choose() == ways.choose(measure=False) == "graph"


def test_another_encoder_is_measured_anew(clock: list[float]) -> None:
    assert Ways(clock, 2.0, 1.0).choose("one") == "native"
    assert Ways(clock, 1.0, 2.0).choose("other") == "graph"


def test_a_name_holds_all_that_decides_how_fast_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = named(("an encoder", 2))
    assert named(("an encoder", 2)) == before != named(("an encoder", 1))
    monkeypatch.setattr(module.onnxruntime, "__version__", "99")
    assert named(("an encoder", 2)) != before


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '{"other": 3}'])
def test_a_damaged_memory_is_written_anew(clock: list[float], memory: Path, content: str) -> None:
    memory.parent.mkdir()
    memory.write_text(content)
    assert Ways(clock, 2.0, 1.0).choose() == "native"
    assert json.loads(memory.read_text())[named("an encoder")] == "native"


def test_where_nothing_can_be_kept_it_is_measured_each_time(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TUNEWRIGHT_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        ways = Ways(clock, 2.0, 1.0)
        assert ways.choose() == "native"
        assert sorted(ways.made) == ["graph", "native"]


def test_no_home_is_no_error(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TUNEWRIGHT_CACHE")
    monkeypatch.setattr(Path, "home", homeless)
    assert module.memory() is None
    assert Ways(clock, 2.0, 1.0).choose() == "native"


def test_the_oldest_choices_go(clock: list[float], memory: Path) -> None:
    memory.parent.mkdir()
    memory.write_text(json.dumps({str(at): "graph" for at in range(MOST)}))
    Ways(clock, 2.0, 1.0).choose()
    kept = json.loads(memory.read_text())
    assert len(kept) == MOST
    assert "0" not in kept
    assert "1" in kept
