"""The two clients: one waits for an answer, one awaits it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from tunewright.client.answers import Bundle, Explanation
from tunewright.client.calls import Calls
from tunewright.client.conversation import Conversation, Got, Lost, Pause, Send
from tunewright.core.errors import MissingExtra, TunewrightError

Answer = TypeVar("Answer")

KEY_VARIABLE = "TUNEWRIGHT_KEY"
TIMEOUT_SECONDS = 60.0


class Client:
    """A client of one service. Safe to call from several threads; close it, or use it as a context.

    Parameters
    ----------
    url : str
        Address of the service, with the prefix that a proxy takes off, if any.
    key : str
        API key; default: what the variable ``TUNEWRIGHT_KEY`` holds.
    timeout : float
        Seconds of each call in all: its requests, and the waits between them.
    http : httpx2.Client
        What sends, where proxies or certificates need settings of their own.

    Raises
    ------
    TunewrightError
        The address is none, or the extra ``client`` is missing.

    >>> with Client("http://127.0.0.1:8080") as client:                            # doctest: +SKIP
    ...     client.predict(["my card was stolen"])[0].label
    'lost_or_stolen_card'
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = TIMEOUT_SECONDS, http: Any = None) -> None:
        self._calls = Calls(timeout)
        self._to = _Address(url, key)
        self._http = http or _library().Client()

    def predict(
        self,
        inputs: Iterable[Any],
        *,
        bundle: str | None = None,
        top: int = 0,
        targets: Sequence[str] | None = None,
        error: float | None = None,
    ) -> list[Any]:
        """One ``Prediction`` per input, in order; where there are several targets, a mapping target → prediction.

        Any number of inputs: they are cut to what the service takes in one request.

        Parameters
        ----------
        inputs : texts, or records by column
        bundle : name; default: the first one of the service
        top : how many of the best candidates each answer lists
        targets : which of the bundle's targets are answered; default: all
        error : rate at which sets of labels may miss the true one; default: what the task says

        Raises
        ------
        Refused
            The service refuses it, by its own problem and remedy, or does not answer in time.
        """
        return self._run(self._calls.predict(inputs, bundle, top, targets, error))

    def explain(
        self,
        row: Any,
        *,
        bundle: str | None = None,
        method: str | None = None,
        target: str | None = None,
        label: str | None = None,
        pieces: int | None = None,
    ) -> list[Explanation]:
        """What each piece of one input speaks for its label; see docs/explain.md. Raises as ``predict`` does."""
        return self._run(self._calls.explain(row, bundle, method=method, target=target, label=label, pieces=pieces))

    def bundles(self) -> list[Bundle]:
        """The bundles of the service; the first one answers where none is named. Raises as ``predict`` does."""
        return self._run(self._calls.bundles())

    def ready(self) -> bool:
        """Whether requests can be sent to the service now; asked once."""
        return self._run(self._calls.ready())

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self, conversation: Conversation[Answer]) -> Answer:
        given: Got | Lost | None = None
        while True:
            try:
                step = conversation.send(given)
            except StopIteration as end:
                answer: Answer = end.value
                return answer
            given = self._do(step)

    def _do(self, step: Send | Pause) -> Got | Lost | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return _got(self._http.request(**self._to.request(step)))
        except _library().RequestError as error:
            return _lost(error)


class AsyncClient:
    """As ``Client``, to be awaited. Use it as ``async with``, or await ``close``.

    >>> async with AsyncClient("http://127.0.0.1:8080") as client:                 # doctest: +SKIP
    ...     (await client.predict(["my card was stolen"]))[0].label
    'lost_or_stolen_card'
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = TIMEOUT_SECONDS, http: Any = None) -> None:
        self._calls = Calls(timeout)
        self._to = _Address(url, key)
        self._http = http or _library().AsyncClient()

    async def predict(
        self,
        inputs: Iterable[Any],
        *,
        bundle: str | None = None,
        top: int = 0,
        targets: Sequence[str] | None = None,
        error: float | None = None,
    ) -> list[Any]:
        """As ``Client.predict``."""
        return await self._run(self._calls.predict(inputs, bundle, top, targets, error))

    async def explain(
        self,
        row: Any,
        *,
        bundle: str | None = None,
        method: str | None = None,
        target: str | None = None,
        label: str | None = None,
        pieces: int | None = None,
    ) -> list[Explanation]:
        """As ``Client.explain``."""
        asked = {"method": method, "target": target, "label": label, "pieces": pieces}
        return await self._run(self._calls.explain(row, bundle, **asked))

    async def bundles(self) -> list[Bundle]:
        """As ``Client.bundles``."""
        return await self._run(self._calls.bundles())

    async def ready(self) -> bool:
        """As ``Client.ready``."""
        return await self._run(self._calls.ready())

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _run(self, conversation: Conversation[Answer]) -> Answer:
        given: Got | Lost | None = None
        while True:
            try:
                step = conversation.send(given)
            except StopIteration as end:
                answer: Answer = end.value
                return answer
            given = await self._do(step)

    async def _do(self, step: Send | Pause) -> Got | Lost | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return _got(await self._http.request(**self._to.request(step)))
        except _library().RequestError as error:
            return _lost(error)


class _Address:
    """Where requests go, and the key that they carry; it is never shown."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise TunewrightError(f"{url!r} is no address of a service", "pass for example http://127.0.0.1:8080")
        self._base = url.rstrip("/") + "/"
        key = key or os.environ.get(KEY_VARIABLE)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def request(self, step: Send) -> dict[str, Any]:
        """What the library's ``request`` is called with."""
        typed = {"Content-Type": "application/json"} if step.body is not None else {}
        return {
            "method": step.method,
            "url": self._base + step.path,
            "content": step.body,
            "headers": self._headers | typed,
            "timeout": step.seconds,
        }


def _got(response: Any) -> Got:
    return Got(
        response.status_code, {name.lower(): value for name, value in response.headers.items()}, response.content
    )


def _lost(error: Exception) -> Lost:
    return Lost(" ".join(str(error).split()) or type(error).__name__)


def _library() -> Any:
    try:
        return import_module("httpx2")
    except ModuleNotFoundError as error:
        raise MissingExtra("the client", error.name or "httpx2", "client") from None
