"""Reading bodies: never more than the limit in memory, never for longer than the time-out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import Message

from tunewright.serve.inputs import NO_NUL
from tunewright.serve.limits import Limits
from tunewright.serve.problems import Refusal
from tunewright.serve.requests import DISCARD_TIMES, parse, read_body, schema

LIMITS = Limits(body_bytes=10, timeout_seconds=0.2)


def read(messages: Iterable[Message], headers: dict[str, str] | None = None) -> tuple[bytes | Refusal, int]:
    """The body or the refusal, and how many messages were taken."""
    feed, taken = iter(messages), 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        return next(feed)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    request = Request({"type": "http", "method": "POST", "headers": raw}, receive)
    try:
        return asyncio.run(read_body(request, LIMITS)), taken
    except Refusal as refusal:
        return refusal, taken


def piece(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("body", "problem", "remedy"),
    [
        (
            b'{"inputs": [], "targets": "tone"}',
            '"targets" is no list of names',
            'send for example "targets": ["intent"]',
        ),
        (b'{"inputs": [], "targets": []}', '"targets" is no list of names', 'send for example "targets": ["intent"]'),
        (b'{"inputs": [], "targets": ["tune"]}', "there is no target", "did you mean 'tone'?"),
    ],
)
def test_targets_that_cannot_be_answered(body: bytes, problem: str, remedy: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(body, {"text": "text"}, Limits(), ("intent", "tone"))
    assert refused.value.problem.startswith(problem)
    assert refused.value.remedy == remedy


def test_only_bundles_with_several_targets_know_the_field() -> None:
    body = b'{"inputs": [], "targets": ["tone", "intent", "tone"]}'
    assert parse(body, {"text": "text"}, Limits(), ("intent", "tone")).targets == ["intent", "tone"]
    assert parse(b'{"inputs": []}', {"text": "text"}, Limits(), ("intent", "tone")).targets is None
    with pytest.raises(Refusal, match="unknown field"):
        parse(body, {"text": "text"}, Limits(), ("intent",))
    assert "targets" not in schema({"text": "text"}, Limits(), ("intent",))["properties"]
    asked = schema({"text": "text"}, Limits(), ("intent", "tone"))["properties"]["targets"]
    assert asked["items"] == {"enum": ["intent", "tone"]}


def test_pieces_are_joined() -> None:
    assert read([piece(b"abcde"), piece(b"fghij", more=False)]) == (b"abcdefghij", 2)


def test_a_chunked_body_is_refused_after_a_bounded_discard() -> None:
    found, taken = read(piece(b"x" * 10) for _ in iter(int, 1))
    assert isinstance(found, Refusal)
    assert found.status == 413
    assert found.headers == {"Connection": "close"}
    assert taken == DISCARD_TIMES + 1


def test_a_client_that_asks_first_is_refused_before_it_sends() -> None:
    found, taken = read([], {"content-length": "11", "expect": "100-continue"})
    assert isinstance(found, Refusal)
    assert (found.status, taken) == (413, 0)


def test_a_body_that_does_not_arrive_is_408() -> None:
    async def stalled() -> Message:
        await asyncio.sleep(60)
        return piece(b"")

    with pytest.raises(Refusal, match=r"the body did not arrive within 0\.2 seconds") as caught:
        asyncio.run(read_body(Request({"type": "http", "method": "POST", "headers": []}, stalled), LIMITS))
    assert caught.value.status == 408


def test_a_client_that_leaves_is_no_failure_of_ours() -> None:
    found, _ = read([piece(b"abc"), {"type": "http.disconnect"}])
    assert isinstance(found, Refusal)
    assert found.status == 400


def test_only_the_columns_that_the_bundle_reads_are_handed_on() -> None:
    query = parse('{"inputs": [{"text": "é", "other": "\\ud800"}], "top": 2}'.encode(), {"text": "text"}, Limits())
    assert (list(query.rows), query.top) == ([{"text": "é"}], 2)


def test_the_schema_of_several_columns_takes_records_only() -> None:
    items = schema({"a": "text", "b": "numbers"}, Limits())["properties"]["inputs"]["items"]
    assert items["required"] == ["a", "b"]
    assert items["properties"] == {"a": {"type": "string", "maxLength": 100_000, "pattern": NO_NUL}, "b": {}}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ('"5 %"', '"error" is a string, not a number'),
        ("true", '"error" is true or false, not a number'),
        ("-0.1", '"error" is out of its range 0 to 0.5'),
        ("0.51", '"error" is out of its range 0 to 0.5'),
    ],
)
def test_a_rate_that_is_none_is_refused(value: str, problem: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(f'{{"inputs": [], "error": {value}}}'.encode(), {"text": "text"}, Limits())
    assert (refused.value.status, refused.value.problem) == (422, problem)
    assert refused.value.remedy == 'send for example "error": 0.05'


def test_the_rate_of_errors_is_a_number_or_the_bundles_own() -> None:
    assert parse(b'{"inputs": [], "error": 0.05}', {"text": "text"}, Limits()).error == 0.05
    assert parse(b'{"inputs": [], "error": 0}', {"text": "text"}, Limits()).error == 0.0
    assert parse(b'{"inputs": []}', {"text": "text"}, Limits()).error is None
