"""The watch around every request: its log line, metrics, security headers, and an answer where the program failed."""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunewright.serve.metrics import Metrics
from tunewright.serve.problems import INTERNAL, problem_response

log = logging.getLogger("tunewright.serve")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LOGGED = 200
"""Characters of a client's word in a log line."""
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
"""Of every response that does not set them itself."""


class Watch:
    """ASGI middleware. Routes leave ``bundle`` and ``rows`` in ``request.state`` for the log."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, seen = time.perf_counter(), {"status": 0}
        scope.setdefault("state", {})

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                if b"etag" in present and b"cache-control" not in present:
                    message["headers"].append((b"cache-control", b"no-cache"))
                    present.add(b"cache-control")
                if scope["app"].state.stopping and b"connection" not in present:  # the next request goes elsewhere
                    message["headers"].append((b"connection", b"close"))
                missing = [(name, value) for name, value in HEADERS.items() if name not in present]
                message = {**message, "headers": [*message["headers"], *missing]}
            await send(message)

        with self.metrics.under_way.track_inprogress():
            try:
                await self.app(scope, receive, send_on)
            except Exception as error:
                log.error("internal error", exc_info=error, extra={"fields": {"path": scope["path"][:LOGGED]}})
                if seen["status"]:
                    raise
                await problem_response(500, *INTERNAL)(scope, receive, send_on)
        self._record(scope, seen["status"], time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", "other")
        state: dict[str, Any] = scope["state"]
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        fields = {
            "method": scope["method"][:LOGGED],
            "path": scope["path"][:LOGGED],
            "status": status,
            "latency_ms": round(seconds * 1000, 3),
            "rows": state.get("rows"),
            "bundle": state.get("bundle"),
            **({"caller": state["caller"]} if state.get("caller") else {}),
        }
        log.info("request", extra={"fields": fields})
