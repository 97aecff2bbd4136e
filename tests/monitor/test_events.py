"""Events and the sink that keeps nothing."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, replace

import pytest

from tunewright.monitor.events import Event, NullSink, sha256_of

EVENT = Event("1", 0.0, "sha256:a", "label", {"label": "refund", "score": 0.9}, "where is my money?")


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        EVENT.id = "2"  # type: ignore[misc]
    assert EVENT.feedback is None


def test_hashed_keeps_everything_but_the_input() -> None:
    hashed = EVENT.hashed()
    assert hashed.input is None
    assert hashed.input_sha256 == hashlib.sha256(b"where is my money?").hexdigest()
    assert replace(hashed, input=EVENT.input, input_sha256=None) == EVENT


def test_equal_records_have_equal_hashes_whatever_their_order() -> None:
    assert sha256_of({"a": "1", "b": "二"}) == sha256_of({"b": "二", "a": "1"})
    assert sha256_of({"a": "1", "b": "二"}) != sha256_of({"a": "1", "b": "2"})


def test_the_null_sink_takes_events() -> None:
    NullSink().emit([EVENT])
