"""Listening: the socket, the server's thread, and the way to stop that loses no request."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from tunewright.core.errors import TunewrightError
from tunewright.monitor.events import Sink
from tunewright.serve.access.access import Access
from tunewright.serve.door import Doorway
from tunewright.serve.http import application
from tunewright.serve.limits import Limits
from tunewright.serve.logs import start_logs
from tunewright.serve.predictor import Predictor
from tunewright.serve.registry import Registry

LEAVE_SECONDS = 1.0
"""Time for connections to end by themselves once the door is shut, each with the answer to its next request."""
READ_BYTES = 2**18
"""What the event loop reads of a connection at once."""
RETIRE = signal.SIGUSR1
SIGNALS = (signal.SIGTERM, signal.SIGINT, RETIRE)


def bound(host: str, port: int) -> socket.socket:
    """A socket that holds the address.

    Raises
    ------
    TunewrightError
        The port is in use or not allowed, or the host is not this machine's.
    """
    if not 0 <= port <= 65535:  # getaddrinfo would take it modulo 65536
        raise TunewrightError(f"port {port} is out of its range 0 to 65535", "pass --port 8080 (0 = a free one)")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise TunewrightError(
            f"{host}:{port} is no address to listen at ({error})", "pass --host 127.0.0.1 --port 8080"
        ) from None
    taken = socket.socket(family, kind, protocol)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise _not_bound(host, port, error) from None
    return taken


def _not_bound(host: str, port: int, error: OSError) -> TunewrightError:
    if error.errno == errno.EADDRINUSE:
        return TunewrightError(
            f"port {port} of {host} is in use", "stop what listens there, or pass another --port (0 = a free one)"
        )
    if error.errno == errno.EACCES:
        return TunewrightError(f"port {port} needs rights that this user has not", "pass a --port from 1024 up")
    if error.errno == errno.EADDRNOTAVAIL:
        return TunewrightError(
            f"{host} is no address of this machine", "pass --host 127.0.0.1, or 0.0.0.0 for all of them"
        )
    return TunewrightError(f"{host}:{port} cannot be listened at ({error.strerror})", "pass another --host or --port")


def listen(
    predictors: Mapping[str, Predictor] | Registry,
    taken: socket.socket,
    limits: Limits | None = None,
    sink: Sink | None = None,
    access: Access | None = None,
    *,
    ready: Callable[[], None] | None = None,
    reread: Callable[[], None] | None = None,
    extend: Callable[[FastAPI], None] | None = None,
) -> None:
    """Answer at a bound socket until SIGTERM or Ctrl-C, then finish what is under way.

    SIGUSR1 says that others listen at the same socket: new connections are left to them from then on.

    ready : called once it listens; by default the address is printed
    reread : called on SIGHUP, beside the requests
    extend : adds further routes to the application
    """
    limits = limits or Limits()
    app = application(predictors, limits, sink, access)
    if extend is not None:
        extend(app)
    start_logs(sys.stderr)
    config = uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", Doorway(AutoHTTPProtocol, limits, app.state.metrics)),
        ws="none",
        h11_max_incomplete_event_size=limits.head_bytes + READ_BYTES,  # the door says it first, and better
        access_log=False,
        log_config=None,
        lifespan="on",
        server_header=False,
        timeout_keep_alive=75,  # longer than the idle time of common proxies, which else meet closed connections
        timeout_graceful_shutdown=math.ceil(limits.timeout_seconds) + 1,
    )
    server, told = uvicorn.Server(config), threading.Event()
    # uvicorn takes signals only in the main thread, and would close its door before /readyz could say so
    thread = threading.Thread(target=_run, args=(server, taken, told), name="server")
    with _signals(server, app, told), _hang_up(reread):
        thread.start()
        while not (server.started or told.wait(0.01)):
            pass
        if server.started:
            names = predictors.served if isinstance(predictors, Registry) else predictors
            (ready or (lambda: say_where(taken, names)))()
        told.wait()
        if app.state.stopping == signal.SIGTERM:
            _wait(server, limits.drain_seconds)
        if app.state.stopping in (signal.SIGTERM, RETIRE):
            _shut_door(server)
            _wait(server, LEAVE_SECONDS, lambda: not server.server_state.connections)
        server.should_exit = True
        thread.join()
    if not server.started:
        raise TunewrightError("the server did not start", "look into the log lines above this one")


def _run(server: uvicorn.Server, taken: socket.socket, told: threading.Event) -> None:
    try:
        server.run(sockets=[taken])
    finally:
        told.set()


@contextmanager
def _signals(server: uvicorn.Server, app: FastAPI, told: threading.Event) -> Iterator[None]:
    """The first signal asks for a graceful stop, the second Ctrl-C for one at once."""

    def on_signal(number: int, frame: object) -> None:
        server.force_exit = bool(app.state.stopping) and number == signal.SIGINT
        app.state.stopping = number
        told.set()

    previous = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _hang_up(reread: Callable[[], None] | None) -> Iterator[None]:
    """SIGHUP reads the bundles again, beside the requests."""
    if reread is None:
        yield
        return
    previous = signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=reread, name="reread").start())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def _shut_door(server: uvicorn.Server) -> None:
    """Take no new connection. Those that came in last still bring a request, so they are not closed yet."""
    for one in server.servers:
        one.get_loop().call_soon_threadsafe(one.close)


def _wait(server: uvicorn.Server, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
    """Let /readyz say 503, and every answer that its connection ends with it, for a while.

    Load balancers turn away before the door closes; clients that ask all the time change over to another process.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end and not server.force_exit and not enough():
        time.sleep(0.05)


def say_where(taken: socket.socket, bundles: Collection[str], note: str = "") -> None:
    """Print the address."""
    address = taken.getsockname()
    if isinstance(address, str | bytes):  # a Unix socket that was handed over
        place = os.fsdecode(address) or "a socket without a name"
    else:
        host, port = address[:2]
        place = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    told = ", ".join(bundles) if len(bundles) <= 10 else f"{len(bundles)} bundles"
    print(f"serving {told} at {place} ({note}try it there; Ctrl-C stops)", flush=True)
