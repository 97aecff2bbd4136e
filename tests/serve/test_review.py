"""Answers that need review, over HTTP: the field, the schema, the count; and nothing of it without rules."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunewright.runtime.review import Rules

LEGAL = {"labels": [], "below": 0.0, "slices": {"legal": {"words": ["lawyer", "律师"]}}}
Connect = Callable[..., TestClient]


@pytest.fixture
def ruled(static: Any) -> Any:
    """The static bundle, with a rule."""
    own = copy.copy(static)
    own.manifest = replace(static.manifest, task={**static.manifest.task, "review": LEGAL})
    own.rules = Rules.of(own.manifest.task)
    return own


def ask(client: TestClient, *texts: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.post("/predict", json={"inputs": list(texts)}).json()["predictions"]
    return found


def test_answers_are_marked_and_counted(connect: Connect, ruled: Any) -> None:
    client = connect(ruled)
    found = ask(client, "where is my order?", "my LAWYER writes", "找律师", "")
    assert [one["needs_review"] for one in found] == [False, True, True, True]
    ask(client, "lawyer")
    name, target = ruled.manifest.name, next(iter(ruled.kinds))
    counted = f'tunewright_needs_review_total{{bundle="{name}",target="{target}"}} 4.0'
    assert counted in client.get("/metrics").text


def test_the_schema_has_the_field(connect: Connect, ruled: Any) -> None:
    schemas = connect(ruled).get("/openapi.json").json()["components"]["schemas"]
    (one,) = [schema for schema in schemas.values() if "needs_review" in schema.get("properties", {})]
    assert one["properties"]["needs_review"]["type"] == "boolean"


def test_without_rules_answers_and_schema_are_as_ever(connect: Connect, static: Any) -> None:
    client = connect(static)
    assert "needs_review" not in str(ask(client, "my lawyer writes"))
    assert "needs_review" not in client.get("/openapi.json").text
    assert "tunewright_needs_review_total{" not in client.get("/metrics").text


def test_events_hold_the_mark(connect: Connect, ruled: Any) -> None:
    class Kept:
        events: list[Any] = []  # noqa: RUF012

        def emit(self, events: Any) -> None:
            self.events.extend(events)

    sink = Kept()
    ask(connect(ruled, sink=sink), "my lawyer")
    assert [one.answer["needs_review"] for one in sink.events] == [True]
