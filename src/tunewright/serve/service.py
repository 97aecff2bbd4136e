"""What all routes share: limits, the queue, threads, metrics, and what a status means."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from tunewright.monitor.events import Sink
from tunewright.serve.batching import Batching
from tunewright.serve.limits import Limits
from tunewright.serve.metrics import Metrics
from tunewright.serve.pool import Pool
from tunewright.serve.problems import Refusal

MEANING = {
    400: "The body is not JSON.",
    401: "The request has no key, or one that is not known.",
    403: "A page of another site sent the request.",
    408: "The body came too slowly.",
    413: "The body is too large, or it holds too many inputs.",
    414: "The address is too long.",
    422: "A value does not fit; it is named by its index.",
    429: "Too much waits, or this caller asks for more than it may; Retry-After says when to come back.",
    500: "The service failed; its log says where.",
    503: "The service is stopping.",
    504: "There was no answer in time.",
}


@dataclass(frozen=True)
class Service:
    """What all routes share."""

    limits: Limits
    pool: Pool
    batching: Batching
    metrics: Metrics
    sink: Sink | None


def same_site(request: Request) -> None:
    """Pages of other sites must not use a service on the reader's own machine."""
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Refusal(
            403, "a page of another site sent the request", "call the service from a server, or from its own pages"
        )
