"""One request to a service, and what there is to say when no answer comes of it."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from tunewright.core.errors import TunewrightError

MOST_BYTES = 2**28
"""Bytes of an answer that are read."""
NAME_ONE = "name a service that answers as `tunewright serve` does: http://HOST:PORT/v1/NAME"


def fetch(address: str, body: Any = None, *, seconds: float) -> tuple[int, bytes]:
    """Status and body of an answer; a POST where there is something to send.

    Raises
    ------
    TunewrightError
        Nothing answers there, or not in time, or the connection breaks off.
    """
    sent = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(address, sent, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=seconds) as response:
            return int(response.status), response.read(MOST_BYTES)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(MOST_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unanswered(address, error, seconds) from None


def _unanswered(address: str, error: Exception, seconds: float) -> TunewrightError:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return TunewrightError(
            f"{address}: no answer within {seconds:g} seconds",
            "see what keeps the service busy, or pass a longer --timeout",
        )
    if isinstance(error, urllib.error.URLError):
        why = getattr(reason, "strerror", None) or str(reason)
        return TunewrightError(
            f"{address}: nothing answers there ({why})", "start it with `tunewright serve`, or check host and port"
        )
    if isinstance(error, OSError | http.client.IncompleteRead | http.client.RemoteDisconnected):
        return TunewrightError(
            f"{address}: the connection broke off ({type(error).__name__})", "look into the log of the service"
        )
    return TunewrightError(f"{address}: what answers there does not speak HTTP ({error})", NAME_ONE)


def spoken(address: str, status: int, body: bytes) -> Any:
    """The JSON of an answer.

    Raises
    ------
    TunewrightError
        The service refused, in its own words where it has some; or its answer is not JSON.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if status != 200:
        if isinstance(found, dict) and {"problem", "remedy"} <= set(found):
            raise TunewrightError(f"{address}: it refused ({status}): {found['problem']}", str(found["remedy"]))
        raise TunewrightError(f"{address}: it answered with status {status}", NAME_ONE)
    if found is None:
        raise TunewrightError(f"{address}: its answer is not JSON", NAME_ONE)
    return found
