"""The calls of a client as conversations: what is asked of a service, and how a long list is cut to its limits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tunewright.client.answers import Bundle, Explanation, Prediction, by_input
from tunewright.client.conversation import Conversation, Deadline, Got, Refused, Send, ask
from tunewright.core.errors import TunewrightError

SMALL_ROWS, SMALL_BYTES = 64, 2**16
"""What any service takes in one request: below this its limits need not be asked for."""
BODY_BYTES = 2**22
"""Longest body that is made, whatever the service would take."""


@dataclass(frozen=True)
class Bounds:
    """What one request may hold."""

    rows: int = SMALL_ROWS
    bytes: int = SMALL_BYTES


class Calls:
    """What can be asked of a service. ``timeout`` is the time of each call, in seconds."""

    def __init__(self, timeout: float) -> None:
        if not timeout > 0:
            raise TunewrightError(f"timeout = {timeout} leaves no time", "pass a number of seconds above 0")
        self._timeout = timeout
        self._bounds: Bounds | None = None

    def predict(
        self,
        inputs: Iterable[Any],
        bundle: str | None,
        top: int,
        targets: Sequence[str] | None,
        error: float | None,
    ) -> Conversation[list[Any]]:
        """As ``Client.predict``."""
        deadline, rows = Deadline(self._timeout), [_encoded(one) for one in _listed(inputs)]
        asked = {"top": top or None, "targets": None if targets is None else list(targets), "error": error}
        options = _encoded({name: value for name, value in asked.items() if value is not None})
        bounds = Bounds()
        if len(rows) > SMALL_ROWS or sum(map(len, rows)) > SMALL_BYTES:
            bounds = yield from self._asked_bounds(deadline)
        out: list[Any] = []
        for some in _cut(rows, bounds):
            body = b'{"inputs": [' + b", ".join(some) + b"]" + (b", " + options[1:] if options != b"{}" else b"}")
            told = yield from ask("POST", _path("predict", bundle), body, deadline)
            found = [Prediction.read(one, told["bundle"]) for one in told["predictions"]]
            out += by_input(found, len(some))
        return out

    def explain(self, row: Any, bundle: str | None, **asked: Any) -> Conversation[list[Explanation]]:
        """As ``Client.explain``."""
        body = {"input": row} | {name: value for name, value in asked.items() if value is not None}
        told = yield from ask("POST", _path("explain", bundle), _encoded(body), Deadline(self._timeout))
        return [Explanation.read(one) for one in told["explanations"]]

    def bundles(self) -> Conversation[list[Bundle]]:
        """As ``Client.bundles``."""
        told = yield from ask("GET", "v1/bundles", None, Deadline(self._timeout))
        return [Bundle.read(one) for one in told["bundles"]]

    def ready(self) -> Conversation[bool]:
        """As ``Client.ready``."""
        got = yield Send("GET", "readyz", None, self._timeout)
        return isinstance(got, Got) and got.status == 200

    def _asked_bounds(self, deadline: Deadline) -> Conversation[Bounds]:
        if self._bounds is None:
            try:
                told = yield from ask("GET", "v1/bundles", None, deadline)
            except Refused as error:
                if error.status != 404:  # an older service does not tell
                    raise
                return Bounds(SMALL_ROWS, SMALL_BYTES)
            limits = told["limits"]
            self._bounds = Bounds(limits["batch_rows"], min(limits["body_bytes"], BODY_BYTES) - 1024)
        return self._bounds


def _path(verb: str, bundle: str | None) -> str:
    return verb if bundle is None else f"v1/{quote(bundle, safe='')}/{verb}"


def _listed(inputs: Iterable[Any]) -> list[Any]:
    if isinstance(inputs, str | bytes | dict):
        raise TunewrightError(
            f"the inputs are one {type(inputs).__name__}, not a list of them", "put it into a list: [text]"
        )
    return list(inputs)


def _encoded(value: Any) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise TunewrightError(
            f"an input is no JSON value: {error}", "pass strings, or records of column → value"
        ) from None


def _cut(rows: Sequence[bytes], bounds: Bounds) -> Iterator[list[bytes]]:
    """Batches within the bounds, in order; an input that alone is too large stands alone, for the service to refuse."""
    some: list[bytes] = []
    size = 0
    for row in rows:
        if some and (len(some) == bounds.rows or size + len(row) + 2 > bounds.bytes):
            yield some
            some, size = [], 0
        some.append(row)
        size += len(row) + 2
    if some:
        yield some
