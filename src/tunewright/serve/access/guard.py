"""The guard before all routes: names, keys, rates and the memory of bodies. What it refuses reaches no route."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunewright.serve.access.access import Access
from tunewright.serve.access.hosts import bare, network_of
from tunewright.serve.access.rates import Rates
from tunewright.serve.limits import Limits
from tunewright.serve.metrics import Metrics
from tunewright.serve.problems import Refusal, problem_response, shown

HEALTH = frozenset({"/healthz", "/readyz"})
OPEN = HEALTH | {"/", "/docs"}
"""Paths that need no key: load balancers have none, and a page has to be there before one can be typed into it."""
OPEN_FOLDER = "/pages/"
KEY_LENGTH = 512
"""Longest key that is hashed at all."""
CHALLENGE = 'Bearer realm="tunewright"'


class Room:
    """Bytes of all bodies that are held at this moment."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def take(self, size: int) -> bool:
        """Whether there is room for so many more; then they are taken."""
        if self.held + size > self.most:
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        self.held -= size


@dataclass(frozen=True)
class Charge:
    """What a route calls once it knows how many rows a request has.

    Raises
    ------
    Refusal
        429 where the caller asks for more rows a second than it may.
    """

    caller: Hashable
    name: str | None
    rows: Rates
    metrics: Metrics

    def __call__(self, rows: int) -> None:
        seconds = self.rows.wait(self.caller, rows)
        if seconds:
            self.metrics.refused.labels("rows").inc()
            raise too_many(f"{rows} rows are more than this caller may ask for now", seconds)
        if self.name is not None:
            self.metrics.caller_rows.labels(self.name).inc(rows)


def charge(state: Any, rows: int) -> None:
    """Take the rows of a request from what its caller may ask; ``state`` is the request's.

    Raises
    ------
    Refusal
        429; see ``Charge``.
    """
    charged: Charge | None = getattr(state, "charge", None)
    if charged is not None:
        charged(rows)


def too_many(problem: str, seconds: int) -> Refusal:
    """A 429 that says when to come back."""
    return Refusal(429, problem, f"try again in {seconds} s, or ask more slowly", {"Retry-After": str(seconds)})


class Guard:
    """ASGI middleware. It leaves ``caller`` (the key's name, never the key) and ``charge`` in ``request.state``."""

    def __init__(self, app: ASGIApp, access: Access, limits: Limits, metrics: Metrics) -> None:
        self.app = app
        self.access = access
        self.limits = limits
        self.metrics = metrics
        self.requests = Rates(limits.requests_per_second)
        self.rows = Rates(limits.rows_per_second)
        self.room = Room(limits.bodies_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._admit(scope)
        except Refusal as no:
            await problem_response(no.status, no.problem, no.remedy, no.headers)(scope, receive, send)
            return
        held = 0

        async def receive_on() -> Message:
            nonlocal held
            message = await receive()
            # what is more than a body may have is read and forgotten
            size = min(len(message.get("body", b"")), self.limits.body_bytes - held)
            if not self.room.take(size):
                self.metrics.refused.labels("bodies").inc()
                raise too_many("the service holds as many bytes of requests as it may", 1)
            held += size
            return message

        try:
            await self.app(scope, receive_on, send)
        finally:
            self.room.give_back(held)

    def _admit(self, scope: Scope) -> None:
        """Refuse the request, or note who sent it."""
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self.limits.url_bytes:
            self._refuse("url", Refusal(
                414, f"the address is longer than {self.limits.url_bytes} bytes", "send what is long in the body",
            ))  # fmt: skip
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self.limits.head_bytes:
            self._refuse("head", Refusal(
                431, f"the headers are longer than {self.limits.head_bytes} bytes", "send what is long in the body",
            ))  # fmt: skip
        headers: dict[bytes, bytes] = dict(scope["headers"])
        path: str = scope["path"]
        if path not in HEALTH:  # a balancer calls the address that it was told
            self._host(headers.get(b"host", b"").decode("latin-1"))
        name = None
        address = ("address", network_of((scope.get("client") or ("",))[0]))
        if self.access.keys is not None and path not in OPEN and not path.startswith(OPEN_FOLDER):
            try:
                name = self._name(headers.get(b"authorization", b"").decode("latin-1"))
            except Refusal:
                self._rate(address)
                raise
            self.metrics.caller_requests.labels(name).inc()
        caller: Hashable = address if name is None else ("key", name)
        if path not in HEALTH:
            self._rate(caller)
        scope.setdefault("state", {}).update(caller=name, charge=Charge(caller, name, self.rows, self.metrics))

    def _host(self, host: str) -> None:
        if self.access.hosts and bare(host) not in self.access.hosts:
            self._refuse("host", Refusal(
                421, f"this service is not called {shown(host)}", "start it with --allow-host NAME if it should be",
            ))  # fmt: skip

    def _name(self, authorization: str) -> str:
        """The name of the key that was sent."""
        assert self.access.keys is not None
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            told = Refusal(
                401, "the request has no key", "send it as Authorization: Bearer KEY", {"WWW-Authenticate": CHALLENGE}
            )
            self._refuse("key", told)
        name = self.access.keys.name_of(key.strip()) if len(key) <= KEY_LENGTH else None
        if name is None:
            invalid = {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'}
            self._refuse("key", Refusal(401, "the key is not known here", "ask who runs the service for one", invalid))
        return name

    def _rate(self, caller: Hashable) -> None:
        seconds = self.requests.wait(caller)
        if seconds:
            self._refuse("requests", too_many("this caller asks more often than it may", seconds))

    def _refuse(self, reason: str, refusal: Refusal) -> NoReturn:
        self.metrics.refused.labels(reason).inc()
        raise refusal
