"""The door: connections are counted, and those that send or take too slowly are closed, whatever parses HTTP behind it.

The server's protocols wait without end for the head of a request, and for a client to take its answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from tunewright.serve.limits import Limits
from tunewright.serve.metrics import Metrics
from tunewright.serve.requests import DISCARD_TIMES


@dataclass
class Doorway:
    """What all connections of a server share. Called by the server for each, it gives the connection's protocol.

    parse : makes the protocol behind the door, as uvicorn calls it
    """

    parse: Callable[..., asyncio.Protocol]
    limits: Limits
    metrics: Metrics
    inside: set[Door] = field(default_factory=set)

    def __call__(self, **told: Any) -> Door:
        """The protocol of a new connection; what it is told goes on to the protocol behind it."""
        return Door(self, self.parse(**told))


class Door(asyncio.Protocol):
    """One connection: what it receives goes on to the protocol behind it, under watch.

    A request's head has ``head_seconds`` and ``head_bytes``; between two requests, the server's own time-out counts.
    """

    def __init__(self, way: Doorway, behind: Any) -> None:
        self._way = way
        self._behind = behind
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._shut = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or say why not."""
        self._transport = cast(asyncio.Transport, transport)
        limits = self._way.limits
        if len(self._way.inside) >= limits.connections:
            self._close(503, f"{limits.connections} connections are open, as many as may be", "try again in a second")
            return
        self._way.inside.add(self)
        self._behind.connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Pass it on, unless it belongs to a head that is too long."""
        if self._shut:
            return
        if not self._under_way():
            self._head_bytes += len(data)
        self._behind.data_received(data)
        limits = self._way.limits
        if self._under_way():
            self._cancel_head()
        elif self._answered_early():  # the rest of a body that nobody reads
            self._wait_for_head()
            if self._head_bytes > DISCARD_TIMES * limits.body_bytes:
                self._end()
        elif self._head_bytes > limits.head_bytes:
            problem = f"the head of the request is longer than {limits.head_bytes} bytes"
            self._close(431, problem, "send what is long in the body")
        else:
            self._wait_for_head()

    def _under_way(self) -> bool:
        """Whether a request has begun that has no complete answer yet."""
        cycle = self._behind.cycle
        return cycle is not None and not cycle.response_complete

    def _answered_early(self) -> bool:
        """Whether the last request was answered before its body was there."""
        cycle = self._behind.cycle
        return cycle is not None and bool(cycle.response_complete and cycle.more_body)

    def _wait_for_head(self) -> None:
        if self._head is None:
            loop = asyncio.get_running_loop()
            self._head = loop.call_later(self._way.limits.head_seconds, self._head_is_late)

    def _cancel_head(self) -> None:
        self._head_bytes = 0
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _head_is_late(self) -> None:
        self._head = None
        if self._under_way():
            return
        if not self._head_bytes or self._answered_early():
            self._end()
        else:
            seconds = self._way.limits.head_seconds
            self._close(408, f"the head of the request did not arrive within {seconds:g} seconds", "send it faster")

    def pause_writing(self) -> None:
        """The client takes nothing at this moment; it has a while to begin again."""
        if not self._shut:
            self._behind.pause_writing()
            loop = asyncio.get_running_loop()
            self._stalled = self._stalled or loop.call_later(self._way.limits.write_seconds, self._abort)

    def resume_writing(self) -> None:
        """It takes its answer again."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if not self._shut:
            self._behind.resume_writing()

    def _abort(self) -> None:
        self._way.metrics.refused.labels("connection").inc()
        assert self._transport is not None
        self._transport.abort()

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return None if self._shut else cast("bool | None", self._behind.eof_received())

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        inside = self in self._way.inside
        self._way.inside.discard(self)
        self._cancel_head()
        if self._stalled is not None:
            self._stalled.cancel()
        if inside:
            self._behind.connection_lost(error)

    def _close(self, status: int, problem: str, remedy: str) -> None:
        """Say why, in the form of all errors, and close; what still comes is not read."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(_answer(status, problem, remedy))
        self._end()

    def _end(self) -> None:
        self._shut = True
        self._way.metrics.refused.labels("connection").inc()
        assert self._transport is not None
        self._transport.close()


def _answer(status: int, problem: str, remedy: str) -> bytes:
    body = json.dumps({"problem": problem, "remedy": remedy}).encode()
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        *(["retry-after: 1"] if status == 503 else []),
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
