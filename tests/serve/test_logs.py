"""The log: one JSON object per line, never a text."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunewright.serve.logs import JsonLines


@pytest.fixture
def lines() -> Any:
    stream, handler = io.StringIO(), logging.StreamHandler()
    handler.setStream(stream)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("tunewright.serve")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)


def test_one_line_per_request(
    lines: Callable[[], list[Any]], connect: Callable[..., TestClient], bayes: ModuleType
) -> None:
    client = connect(bayes.topics())
    client.post("/predict", json={"inputs": ["my secret refund", "another secret"]})
    client.get("/healthz")
    client.post("/predict", json={"inputs": ["secret", 3]})
    first, second, third = lines()
    assert set(first) == {"time", "level", "message", "method", "path", "status", "latency_ms", "rows", "bundle"}
    assert (first["method"], first["path"], first["status"]) == ("POST", "/predict", 200)
    assert (first["rows"], first["bundle"]) == (2, "topics")
    assert 0 < first["latency_ms"] < 60_000
    assert first["time"].endswith("Z")
    assert (second["path"], second["rows"], second["bundle"]) == ("/healthz", None, None)
    assert (third["status"], third["bundle"]) == (422, "topics")
    assert "secret" not in json.dumps(lines())


def test_a_failure_is_logged_with_its_place_and_without_the_text(
    lines: Callable[[], list[Any]], connect: Callable[..., TestClient], bayes: ModuleType
) -> None:
    connect(bayes.topics()).post("/predict", json={"inputs": ["broken"]})
    failed, request = lines()
    assert (failed["level"], failed["message"], failed["error"]) == ("error", "internal error", "RuntimeError")
    assert failed["trace"][-1].endswith("answers")
    assert "secret" not in json.dumps(failed)
    assert request["status"] == 500


def test_a_line_break_or_half_a_surrogate_pair_in_a_path_does_not_break_the_log() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "request", (), None)
    record.fields = {"path": "/a\n\ud800"}
    text = JsonLines().format(record)
    assert "\n" not in text
    assert json.loads(text.encode("ascii"))["path"] == "/a\n\ud800"
