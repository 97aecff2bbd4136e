"""How fast a bundle answers on this machine, and how near that is to what the machine can do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tunewright import samples
from tunewright.audit._timing import cold_start, latencies, quantile, quantile_interval
from tunewright.audit.speed import of_length, rows_of
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Windows
from tunewright.data.dataset import read
from tunewright.pipeline.tasks import Source, plain_data, task_of
from tunewright.pipeline.use import values_of
from tunewright.runtime.batches import by_cost
from tunewright.runtime.encoder import COST_BUDGET
from tunewright.runtime.native import NativeEncoder
from tunewright.runtime.operators import Operators, operators
from tunewright.runtime.peak import peak
from tunewright.runtime.predictor import Predictor, load
from tunewright.runtime.processor import processor
from tunewright.runtime.threads import available
from tunewright.runtime.updates import Updates

BULK, CALLS, STARTS = 1000, 3, 3
"""Rows of one call, at the most; calls; fresh processes."""
WORDS = (8, 32, 128)
REQUESTS, SECONDS = 400, 8.0
"""Single texts of each length, or as many as these seconds allow."""
SHOWN = 6
"""Operators that are listed by name."""

clock = time.perf_counter


@dataclass(frozen=True)
class Speed:
    """What was measured, each with its n. ``record`` has the same as JSON values.

    bulk : rows, tokens (or what else the bundle counts), calls, rows_per_s (the median call) with low and high
    single : one record per length: words, cost, requests, p50_ms and p99_ms with their intervals
    cold_start : processes, cpu_s, wall_s, peak_mb: medians
    peak : form → operations per second of the fastest product of matrices, in so many threads
    operations : form → operations of all products of one bulk call
    share : seconds that these products take at the peak, as a part of the seconds of the median call; None where the
        graph has no products
    operators : operator → share of the encoder's time
    """

    bundle: dict[str, Any]
    machine: dict[str, Any]
    bulk: dict[str, Any]
    single: list[dict[str, Any]]
    cold_start: dict[str, Any]
    peak: dict[str, float]
    operations: dict[str, float]
    share: float | None
    operators: dict[str, float]

    @property
    def record(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def speed(bundle: str | Path, rows: Source = None, *, threads: int = 0) -> Speed:
    """Measure a bundle: rows per second in bulk, latency by length, cold start, memory, and the share of the peak.

    Parameters
    ----------
    rows : the first 1,000 that differ are answered; default: the sample rows that come with the program, each with a
        number behind it
    threads : of one call; 0 = what the container's CPU quota allows

    Raises
    ------
    TunewrightError
        There is no bundle, the rows lack an input column or are none, or the bundle reads no texts and no rows are
        given.
    """
    if threads < 0:
        raise TunewrightError(f"--threads {threads} is no number of threads", "give 1 or more, or leave it out")
    count = threads or available()
    predictor = load(bundle, count)
    inputs = _inputs(predictor, rows)
    own = rows_of(inputs)
    predictor.predict(inputs)  # the first call of a process pays for what later ones find ready
    seconds = [_seconds(lambda: predictor.predict(inputs)) for _ in range(CALLS)]
    windows = predictor.modality.windows(list(inputs.values()))
    done = _operators(Path(bundle), predictor, windows)
    peaks = {form: peak(form, count) for form in done.operations}
    ideal = sum(number / peaks[form] for form, number in done.operations.items())
    return Speed(
        bundle={"name": predictor.manifest.name, "digest": predictor.manifest.digest} | _form(predictor, done),
        machine=_machine(count),
        bulk=_bulk(len(own), windows, seconds),
        single=[_single(predictor, own, words) for words in WORDS if of_length(own, words)],
        cold_start=_cold(bundle, own[0]),
        peak=peaks,
        operations=done.operations,
        share=ideal / median(seconds) if peaks else None,
        operators=_shares(done),
    )


def _inputs(predictor: Predictor, rows: Source) -> dict[str, list[Any]]:
    """Column → the values of one bulk call. No row stands there twice: a call computes equal ones once."""
    names, task = list(predictor.manifest.inputs), task_of(predictor.manifest)
    if rows is not None:
        frame = read(rows, plain_data(task), names).frame.unique(names, maintain_order=True).head(BULK)
        if not len(frame):
            raise TunewrightError("there are no rows", "name rows to measure with, or leave them out")
        return {name: values_of(frame[name], how) for name, how in predictor.manifest.inputs.items()}
    other = next((how for how in predictor.manifest.inputs.values() if plugins.reads(how) != "text"), None)
    if other is not None:
        raise TunewrightError(f"the bundle reads {other}, and the sample rows are texts", "name rows to measure with")
    file = "support_zh_test.csv" if predictor.manifest.data.get("language") == "zh" else "support_test.csv"
    own = read(samples.path(file)).frame["text"].to_list()
    texts = [f"{own[at % len(own)]} {at}" for at in range(BULK)]
    return dict.fromkeys(names, texts)


def _seconds(work: Callable[[], Any]) -> float:
    begun = clock()
    work()
    return max(clock() - begun, 1e-9)


def _operators(folder: Path, predictor: Predictor, windows: Windows) -> Operators:
    """What the encoder does in one bulk call, batch by batch as ``predict`` makes them."""
    modality = predictor.modality
    lower, *upper = (predictor.manifest.parts[name] for name in predictor.manifest.encoder)
    batches = list(by_cost(windows.cost, COST_BUDGET))
    done = operators(folder / lower.file, (modality.batch(windows, index) for index in batches))
    for part in upper:
        encoded = (predictor.encoder.graph(modality.batch(windows, index)) for index in batches)
        calls = ({"lower": one["states"], "mask": one["mask"]} for one in encoded)
        updates = Updates(folder / part.updates) if part.updates else None
        done += operators(folder / part.file, calls, updates)
    return done


def _form(predictor: Predictor, done: Operators) -> dict[str, Any]:
    """Size, the form of most of the products, and what computes the encoder."""
    form = max(done.operations, key=lambda one: done.operations[one], default="none")
    by = "native code" if isinstance(predictor.encoder.graph, NativeEncoder) else "ONNX Runtime"
    return {"size_mb": predictor.manifest.size_bytes / 1e6, "form": form, "computed_by": by}


def _machine(threads: int) -> dict[str, Any]:
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    told = asdict(processor())
    return {"processor": told["name"], "int8": told["int8"], "bf16": told["bf16"], "threads": threads, "load": load}


def _bulk(rows: int, windows: Windows, seconds: Sequence[float]) -> dict[str, Any]:
    rates = sorted(rows / one for one in seconds)
    told = {"rows_per_s": rows / median(seconds), "low": rates[0], "high": rates[-1]}
    return {"rows": rows, "cost": int(windows.cost.sum()), "calls": len(seconds)} | told


def _single(predictor: Predictor, rows: Sequence[Mapping[str, Any]], words: int) -> dict[str, Any]:
    texts = of_length(rows, words)
    columns = [[row[name] for row in texts] for name in predictor.manifest.inputs]
    windows = predictor.modality.windows(columns)
    cost = float(median(np.bincount(windows.owner, weights=windows.cost).tolist()))  # a long text has several windows
    took = latencies(
        lambda row: predictor.predict([row]), texts, callers=1, requests=REQUESTS, seconds=SECONDS, clock=clock
    )
    told: dict[str, Any] = {"words": words, "cost": cost, "requests": len(took)}
    for name, q in (("p50_ms", 0.5), ("p99_ms", 0.99)):
        low, high = quantile_interval(took * 1000, q) or (None, None)
        told |= {name: quantile(took * 1000, q), f"{name}_low": low, f"{name}_high": high}
    return told


def _cold(bundle: str | Path, row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        starts = [cold_start(bundle, row) for _ in range(STARTS)]
    except (RuntimeError, TypeError, OSError) as error:  # a value that JSON cannot hold is a TypeError
        return {"processes": 0, "note": f"not measured: {error}"}
    names = ("cpu_s", "wall_s", "peak_mb")
    return {"processes": STARTS} | {name: median(getattr(one, name) for one in starts) for name in names}


def _shares(done: Operators) -> dict[str, float]:
    total = sum(done.seconds.values()) or 1.0
    named = dict(list(done.seconds.items())[:SHOWN])
    rest = {"all others": total - sum(named.values())} if len(done.seconds) > SHOWN else {}
    return {name: one / total for name, one in (named | rest).items()}
