"""Speed of a bundle: what is counted and by which formula; no time is asserted."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright import pipeline
from tunewright.audit._timing import Start
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.pipeline.speed import Speed

module = importlib.import_module("tunewright.pipeline.speed")  # the package has the verb under this name


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows, few requests, and no fresh processes."""
    monkeypatch.setattr(module, "BULK", 20)
    monkeypatch.setattr(module, "REQUESTS", 3)
    monkeypatch.setattr(module, "cold_start", lambda bundle, row: Start(2.0, 1.0, 90.0))
    monkeypatch.setattr(module, "peak", lambda form, threads: 1e12)


@pytest.fixture
def found(tiny_bundle: Path) -> Speed:
    return pipeline.speed(tiny_bundle, threads=1)


def test_everything_has_its_n(found: Speed, tiny_bundle: Path) -> None:
    manifest = read_manifest(tiny_bundle)
    size_mb = manifest.size_bytes / 1e6
    assert found.bundle == {
        "name": manifest.name,
        "digest": manifest.digest,
        "form": "fp32",
        "size_mb": size_mb,
        "computed_by": "ONNX Runtime",
    }
    assert (found.bulk["rows"], found.bulk["calls"]) == (20, module.CALLS)
    assert found.bulk["low"] <= found.bulk["rows_per_s"] <= found.bulk["high"]
    assert [one["words"] for one in found.single] == list(module.WORDS)
    assert {one["requests"] for one in found.single} == {3}
    costs = [one["cost"] for one in found.single]
    assert all(cost >= words for cost, words in zip(costs, module.WORDS, strict=True))
    assert all(one["p99_ms_low"] is None for one in found.single)  # three requests give no interval
    assert all(0 < one["p50_ms"] <= one["p99_ms"] for one in found.single)
    assert found.cold_start == {"processes": module.STARTS, "cpu_s": 1.0, "wall_s": 2.0, "peak_mb": 90.0}
    assert found.machine["threads"] == 1


def test_the_share_is_the_time_at_the_peak_over_the_time_it_took(found: Speed) -> None:
    ideal = found.operations["fp32"] / 1e12
    seconds = 20 / found.bulk["rows_per_s"]
    assert found.share == pytest.approx(ideal / seconds)
    assert found.peak == {"fp32": 1e12}
    assert sum(found.operators.values()) == pytest.approx(1)


def test_more_rows_are_more_operations(tiny_bundle: Path) -> None:
    texts = [f"my card was stolen {at}" for at in range(10)]
    few, many = (pipeline.speed(tiny_bundle, {"text": texts[:n]}, threads=1) for n in (5, 10))
    assert many.operations["fp32"] == 2 * few.operations["fp32"]
    assert (few.bulk["rows"], many.bulk["rows"]) == (5, 10)


def test_equal_rows_which_a_call_computes_once_are_left_out(tiny_bundle: Path, found: Speed) -> None:
    assert pipeline.speed(tiny_bundle, {"text": ["my card", "stolen", "my card"]}, threads=1).bulk["rows"] == 2
    (texts,) = module._inputs(module.load(tiny_bundle, 1), None).values()
    assert len(set(texts)) == len(texts) == found.bulk["rows"]


def test_a_start_that_fails_is_said(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Start:
        raise RuntimeError("a fresh process ended with exit code 1")

    monkeypatch.setattr(module, "cold_start", fails)
    told = pipeline.speed(tiny_bundle, threads=1).cold_start
    assert told == {"processes": 0, "note": "not measured: a fresh process ended with exit code 1"}


@pytest.mark.parametrize(
    ("rows", "threads", "problem"),
    [
        ({"text": []}, 1, "there are no rows → name rows to measure with, or leave them out"),
        ({"txt": ["a"]}, 1, "no column 'text'"),
        (None, -1, "--threads -1 is no number of threads → give 1 or more"),
    ],
)
def test_what_cannot_be_measured_is_said(tiny_bundle: Path, rows: Any, threads: int, problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        pipeline.speed(tiny_bundle, rows, threads=threads)


def test_a_bundle_that_reads_no_texts_needs_rows(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.plugins, "reads", lambda modality: "image")
    with pytest.raises(TunewrightError, match="the bundle reads text, and the sample rows are texts → name rows"):
        pipeline.speed(tiny_bundle, threads=1)


def test_the_verb_prints_a_table_and_json(tiny_bundle: Path, cli: Callable[..., Any]) -> None:
    told = cli("speed", tiny_bundle, "--threads", "1").out
    assert "n = 3 calls of 20 rows" in told
    assert "1.00 CPU-s, 2.00 s, peak 90 MB (medians of 3 fresh processes" in told
    assert "1,000 billion operations/s" in told
    assert "p99 in ms" in told
    record = json.loads(cli("speed", tiny_bundle, "--threads", "1", "--json").out)
    assert set(record) == set(Speed.__dataclass_fields__)
    assert record["operators"]["Gemm"] > 0


def test_operations_of_an_encoder_in_two_parts_are_those_of_both(halved_bundles: dict[str, Path]) -> None:
    rows = {"text": ["my card was stolen", "where is it?"]}
    whole, parted, beside = (
        pipeline.speed(halved_bundles[one], rows, threads=1) for one in ("whole", "top-0", "lora-0")
    )
    assert parted.operations == whole.operations
    assert sum(parted.operators.values()) == pytest.approx(1)
    assert beside.operations["fp32"] > whole.operations["fp32"], "the updates' own products count"
