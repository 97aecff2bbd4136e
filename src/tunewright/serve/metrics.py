"""Metrics: what Prometheus reads at /metrics, in a registry of the application's own."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tunewright.modalities._pii import find

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


class Metrics:
    """Counts of requests, rows and seconds. Labels never hold anything that a client may choose freely."""

    def __init__(self, digests: Mapping[str, str]) -> None:
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
            "tunewright_requests_under_way", "Requests without an answer yet", registry=self.registry
        )
        self.sink_failures = Counter(
            "tunewright_sink_failures", "Times that the event sink failed", registry=self.registry
        )
        bundles = Gauge(
            "tunewright_bundle_info", "Bundles that are served", ["bundle", "digest"], registry=self.registry
        )
        for name, digest in digests.items():
            bundles.labels(name, digest).set(1)

    def count_reviews(self, bundle: str, found: Sequence[Mapping[str, Any]]) -> None:
        """Count the predictions that a person should look at, by target."""
        for target, count in Tally(one["target"] for one in found if one.get("needs_review")).items():
            self.reviews.labels(bundle, target).inc(count)

    def count_personal(self, bundle: str, rows: Sequence[Any]) -> None:
        """Count the inputs that hold an address, a number or a date of birth, by its kind; no value is kept."""
        found = Tally(name for row in rows for name in _personal(row))
        for name, count in found.items():
            self.personal.labels(bundle, name).inc(count)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self.registry)


def _personal(row: Any) -> set[str]:
    """The kinds of personal data in one input: a text, or a record of texts."""
    values = row.values() if isinstance(row, Mapping) else (row,)
    return {one.name for value in values if isinstance(value, str) for one in find(value)}
