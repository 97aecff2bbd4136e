"""Metrics: what Prometheus reads at /metrics, in a registry of the application's own."""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tunewright.modalities._pii import find

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own variable: where it is set, figures lie in files."""
CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


class Metrics:
    """Counts of requests, rows and seconds. Labels never hold anything that a client may choose freely."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "tunewright_requests",
            "Requests, by route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "tunewright_request_seconds", "From request to answer", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.rows = Histogram(
            "tunewright_request_rows", "Inputs of a predict request", ["bundle"], buckets=ROWS, registry=self.registry
        )
        self.reviews = Counter(
            "tunewright_needs_review", "Answers that a person should look at", ["bundle", "target"],
            registry=self.registry,
        )  # fmt: skip
        self.personal = Counter(
            "tunewright_personal_data", "Inputs with personal data that is known by its form, before any masking",
            ["bundle", "kind"], registry=self.registry,
        )  # fmt: skip
        self.under_way = Gauge(
            "tunewright_requests_under_way", "Requests without an answer yet", registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.sink_failures = Counter(
            "tunewright_sink_failures", "Times that the event sink failed", registry=self.registry
        )
        self.bundles = Gauge(
            "tunewright_bundle_info", "Bundles that are served (1), or were (0)", ["bundle", "digest"],
            registry=self.registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._served: set[tuple[str, str]] = set()

        self.refused = Counter(
            "tunewright_refused", "Requests refused at the door, by reason", ["reason"], registry=self.registry
        )
        self.caller_requests = Counter(
            "tunewright_caller_requests", "Requests, by the name of the caller's key", ["caller"],
            registry=self.registry,
        )  # fmt: skip
        self.caller_rows = Counter(
            "tunewright_caller_rows", "Inputs asked for, by the name of the caller's key", ["caller"],
            registry=self.registry,
        )  # fmt: skip

    def serves(self, digests: Mapping[str, str]) -> None:
        """Say which bundles are served from now on: name → digest."""
        now = set(digests.items())
        for one in self._served - now:
            self.bundles.labels(*one).set(0)
        for one in now:
            self.bundles.labels(*one).set(1)
        self._served = now

    def count_reviews(self, bundle: str, found: Sequence[Mapping[str, Any]]) -> None:
        """Count the predictions that a person should look at, by target."""
        for target, count in Tally(one["target"] for one in found if one.get("needs_review")).items():
            self.reviews.labels(bundle, target).inc(count)

    def count_personal(self, asked: Mapping[str, Sequence[Any]]) -> None:
        """Count the inputs that hold an address, a number or a date of birth, by its kind; no value is kept.

        asked : bundle → its inputs; a text that several bundles read is looked through once
        """
        kinds = cache(lambda text: {one.name for one in find(text)})
        for bundle, rows in asked.items():
            for name, count in Tally(name for row in rows for name in _personal(row, kinds)).items():
                self.personal.labels(bundle, name).inc(count)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format; of several processes, their sums."""
        return generate_latest(all_processes() or self.registry)


def share(folder: str, process: str) -> None:
    """Keep all figures that are made from now on in files under ``folder``, where other processes find them.

    process : its name; one that takes another's place goes on with the figures of that
    """
    os.environ[SHARED] = folder
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]


def forget(folder: str, process: str) -> None:
    """Leave out what a process that is gone was doing; what it has counted stays."""
    multiprocess.mark_process_dead(process, folder)  # type: ignore[no-untyped-call]


def all_processes() -> CollectorRegistry | None:
    """The figures of all processes of this service, where there are several."""
    folder = os.environ.get(SHARED)
    if folder is None:
        return None
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def _personal(row: Any, kinds: Callable[[str], set[str]]) -> set[str]:
    """The kinds of personal data in one input: a text, or a record of texts."""
    values = row.values() if isinstance(row, Mapping) else (row,)
    return set().union(*(kinds(value) for value in values if isinstance(value, str)))
