"""Speed and size: forms and formulas with a planted clock; no time is asserted."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tunewright.audit import Context, asked_by, audit, check_gates, judge, size, speed
from tunewright.audit._timing import cold_start, latencies, quantile, quantile_interval
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify

KIND = Classify(("a", "b"))


class Planted:
    """A clock that goes on only where a test says so; each thread has its own."""

    def __init__(self) -> None:
        self.own = threading.local()

    def __call__(self) -> float:
        return getattr(self.own, "now", 0.0)

    def pass_by(self, seconds: float) -> None:
        self.own.now = self() + seconds


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    """A model that takes 1 ms per word, and a clock that tells so."""
    clock = Planted()
    monkeypatch.setattr(speed, "clock", clock)

    def ask(columns: Any) -> Any:
        clock.pass_by(sum(len(text.split()) for text in columns["text"]) / 1000)
        return np.zeros((len(columns["text"]), 2))

    texts = ["one two three", "four five six"] * 50
    return Context(KIND, np.zeros((100, 2)), np.zeros(100, np.int64), {"text": texts}, ask=ask)


def named(found: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(one.metric, one.slice): one for one in found}


def test_latencies_are_those_of_the_clock_by_length_and_callers(context: Context) -> None:
    found = named(speed.run(context))
    assert found["p50_ms", ""].value == pytest.approx(3)
    assert found["p99_ms", ""].value == pytest.approx(3)
    assert found["p99_ms", ""].n == speed.REQUESTS
    assert found["p99_ms", ""].high == pytest.approx(3)
    for words in (8, 32, 128):
        for callers in ("1 caller", "8 callers", "32 callers"):
            assert found["p50_ms", f"{words} words, {callers}"].value == pytest.approx(words)
    assert found["rows_per_s", ""].value == pytest.approx(1000 / 3)
    (table,) = found["p50_ms", ""].exhibits
    assert len(table.rows) == 9


def test_p99_of_few_requests_has_no_interval_and_says_so(context: Context) -> None:
    one = named(speed.run(context))["p99_ms", "8 words, 1 caller"]
    assert (one.n, one.low, one.high) == (speed.EACH, None, None)
    assert one.note == "too few requests for an interval"


def test_a_model_that_is_no_bundle_has_no_cold_start(context: Context) -> None:
    found = named(speed.run(context))
    for name in ("cold_start_s", "cold_start_cpu_s", "rss_mb"):
        assert found[name, ""].value is None
        assert found[name, ""].note == "not run, because the model is no bundle at hand"


def test_a_fresh_process_that_fails_is_named(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.audit._timing.FIRST_ANSWER", "import sys; sys.exit(7)")
    with pytest.raises(RuntimeError, match="a fresh process ended with exit code 7"):
        cold_start(tmp_path, {"text": "x"})
    monkeypatch.setattr("tunewright.audit._timing.FIRST_ANSWER", "import time; time.sleep(60)")
    with pytest.raises(RuntimeError, match=r"a fresh process gave no answer in 0\.2 s"):
        cold_start(tmp_path, {"text": "x"}, seconds=0.2)


def test_a_cold_start_reads_the_row_and_tells_time_and_memory(tiny_bundle: Path) -> None:
    start = cold_start(tiny_bundle, {"text": "where is my order"})
    assert start.cpu_s > 0
    assert start.wall_s > 0
    assert 10 < start.peak_mb < 2000 or sys.platform != "linux"


def test_seconds_limit_the_requests() -> None:
    clock = Planted()
    for callers in (1, 4):  # each thread has its own clock, so any of them may begin one request more
        took = latencies(lambda _: clock.pass_by(1.0), [{}], callers=callers, requests=100, seconds=0.5, clock=clock)
        assert took.tolist() == [1.0] * len(took)
        assert callers <= len(took) < 2 * callers


def test_what_a_request_raises_is_raised() -> None:
    def ask(_: Any) -> None:
        raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"):
        latencies(ask, [{}], callers=2, requests=4, seconds=9)


def test_the_interval_of_a_quantile_holds_it_as_promised() -> None:
    """Of 600 samples of an exponential distribution; three standard errors are 2.7 points."""
    draw = np.random.default_rng(0)
    for n, q in ((400, 0.99), (60, 0.5)):
        true, held = -np.log(1 - q), 0
        for _ in range(600):
            interval = quantile_interval(draw.exponential(1, n), q)
            assert interval is not None
            held += interval[0] <= true <= interval[1]
        assert 0.923 <= held / 600 <= 0.995


def test_the_interval_of_p99_takes_368_requests() -> None:
    assert quantile_interval(np.arange(367.0), 0.99) is None
    for n, q in ((368, 0.99), (1000, 0.99), (60, 0.5), (61, 0.5)):
        low, high = stats.binom.ppf([0.025, 0.975], n, q)
        assert quantile_interval(np.arange(1.0, n + 1), q) == (low, high + 1)
    assert quantile(np.arange(1.0, 369.0), 0.99) == 365.0


def test_texts_of_a_length_have_that_many_words_of_the_rows() -> None:
    rows = [{"text": "a b c", "other": "x"}, {"text": "d e", "other": "y"}]
    made = speed.of_length(rows, 8)
    assert made[0] == {"text": "a b c d e a b c", "other": "x"}
    assert all(len(row["text"].split()) == 8 for row in made)
    assert speed.of_length([{"image": b"..."}], 8) == []


def test_speed_is_costly_and_runs_where_a_gate_names_it(context: Context) -> None:
    gates = {"p99_ms": "<= 10", "size_mb": "<= 100"}
    check_gates(gates, KIND)
    assert asked_by(gates, KIND) == ["speed"]
    found = judge(audit(context, only=["speed", "size"]), gates)
    passed = {one.metric: one.passed for one in found if one.limit}
    assert passed == {"p99_ms": True, "size_mb": False}
    assert (
        next(one for one in found if one.metric == "size_mb").note == "not run, because the model is no bundle at hand"
    )


def test_size_is_the_sum_of_all_files(tmp_path: Path, context: Context) -> None:
    (tmp_path / "graphs").mkdir()
    for name, count in (("words.json", 500_000), ("graphs/encoder.onnx", 2_000_000)):
        (tmp_path / name).write_bytes(bytes(count))
    (found,) = size.run(Context(KIND, folder=tmp_path))
    assert (found.value, found.n) == (2.5, 2)
    assert found.exhibits[0].rows == (("graphs/encoder.onnx", 2.0), ("words.json", 0.5))
