"""Several processes at one listening socket: started, watched, replaced one by one, stopped together."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from tunewright.core.errors import TunewrightError
from tunewright.serve.listen import RETIRE, say_where
from tunewright.serve.logs import start_logs
from tunewright.serve.metrics import forget
from tunewright.serve.worker import READY, Told

log = logging.getLogger("tunewright.serve")

BACKLOG = 2048
LOOK_SECONDS = 0.05
HEALTHY_SECONDS = 60.0
"""A process that lived so long is started again at once; one that did not waits twice as long each time."""
LONGEST_WAIT_SECONDS = 30.0
STOP_SECONDS = 5.0
"""Beyond the time that its requests have, until a process that does not stop is killed."""


class Worker:
    """One process of the service, and what it has said.

    name : a place and one of two letters, so that a process and the one that takes its place keep figures apart
    """

    def __init__(self, told: Told, taken: socket.socket, name: str, figures: str) -> None:
        self.name = name
        self.started = time.monotonic()
        self.ready = threading.Event()
        self.said: dict[str, Any] = {}
        command = [sys.executable, "-m", "tunewright.serve.worker"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[taken.fileno()],
            start_new_session=True,  # Ctrl-C in a terminal reaches the supervisor alone
        )  # fmt: skip
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):
            stdin.write(
                json.dumps(asdict(told) | {"descriptor": taken.fileno(), "name": name, "figures": figures}) + "\n"
            )
            stdin.flush()
        # stdin stays open: that it ends tells a worker that the supervisor is gone
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            if line.startswith("{"):
                self.said = json.loads(line)
            if self.said.get("state") == READY:
                self.ready.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code, once it has ended."""
        return self._process.poll()

    def tell(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.code is None:
            self._process.send_signal(number)

    def end(self, until: float) -> None:
        """Wait for its end, and do not wait longer than ``until`` (of the monotonic clock)."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(until - time.monotonic(), 0.0))
        if self.code is None:
            log.error("a process does not stop and is killed", extra={"fields": {"process": self.name}})
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


@dataclass
class Place:
    """Where one of the processes stands. ``deaths`` follow on each other; ``due`` is when the next one starts."""

    number: int
    worker: Worker
    deaths: int = 0
    due: float | None = None


class Supervisor:
    """Keeps ``count`` processes at a socket until it is told to stop.

    SIGTERM, SIGINT : stop all, each after the requests that it has
    SIGHUP : replace them one after the other; each goes when the one in its place is ready

    Raises
    ------
    TunewrightError
        A process cannot start at all: what it said.
    """

    def __init__(self, told: Told, taken: socket.socket, count: int) -> None:
        self.told = told
        self.taken = taken
        self.count = count
        self._stop = False
        self._renew = False
        self._places: list[Place] = []
        limits = told.limits
        self._patience = limits["timeout_seconds"] + limits["drain_seconds"] + STOP_SECONDS

    def run(self) -> None:
        """Start, watch, stop."""
        start_logs(sys.stderr)
        with self._signals(), tempfile.TemporaryDirectory(prefix="tunewright-figures-") as figures:
            self._figures = figures
            try:
                self._start()
                while not self._stop:
                    self._watch()
                    time.sleep(LOOK_SECONDS)
            finally:
                self._end([place.worker for place in self._places], signal.SIGTERM)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, frame: object) -> None:
            self._stop = True

        def renew(number: int, frame: object) -> None:
            self._renew = True

        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: renew}
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        self.taken.listen(BACKLOG)  # callers wait in its queue, rather than being refused, whatever the processes do
        self._places = [Place(number, self._worker(f"{number}a")) for number in range(self.count)]
        for place in self._places:
            if not self._wait(place.worker):
                if self._stop:
                    return
                raise _failure(place.worker)
        say_where(self.taken, self._places[0].worker.said["bundles"], f"{self.count} processes; ")

    def _worker(self, name: str) -> Worker:
        forget(self._figures, name)
        return Worker(self.told, self.taken, name, self._figures)

    def _wait(self, worker: Worker) -> bool:
        """Whether it became ready, and did not end before that."""
        while not worker.ready.wait(LOOK_SECONDS):
            if self._stop or worker.code is not None:
                return False
        return True

    def _watch(self) -> None:
        """Start again what has ended; replace all, if that was asked."""
        for place in self._places:
            if place.due is None and place.worker.code is not None:
                self._bury(place)
            if place.due is not None and time.monotonic() >= place.due:
                place.worker, place.due = self._worker(place.worker.name), None
        if self._renew:
            self._renew = False
            self._replace()

    def _bury(self, place: Place) -> None:
        worker, now = place.worker, time.monotonic()
        place.deaths = 0 if now - worker.started > HEALTHY_SECONDS else place.deaths + 1
        wait = 0.0 if place.deaths <= 1 else min(2.0 ** (place.deaths - 2), LONGEST_WAIT_SECONDS)
        place.due = now + wait
        worker.end(now)
        forget(self._figures, worker.name)
        fields = {"process": worker.name, "code": worker.code, "starts_in_seconds": wait}
        log.error("a process ended", extra={"fields": fields | {"said": worker.said.get("problem")}})

    def _replace(self) -> None:
        for place in self._places:
            old = place.worker
            new = self._worker(f"{place.number}{'b' if old.name.endswith('a') else 'a'}")
            if not self._wait(new):
                self._end([new], signal.SIGTERM)
                if not self._stop:
                    said = {"problem": str(_failure(new))}
                    log.error("a new process does not start; the old ones stay", extra={"fields": said})
                return
            place.worker, place.deaths, place.due = new, 0, None
            self._end([old], RETIRE)
            forget(self._figures, old.name)
        log.info("replaced", extra={"fields": {"processes": len(self._places)}})

    def _end(self, workers: list[Worker], number: int) -> None:
        for one in workers:
            one.tell(number)
        until = time.monotonic() + self._patience
        for one in workers:
            one.end(until)


def supervise(
    folders: list[Path],
    parent: Path | None,
    taken: socket.socket,
    count: int,
    limits: Mapping[str, Any],
    access: Mapping[str, Any],
) -> None:
    """Serve some folders, and those in ``parent``, by ``count`` processes; see ``Supervisor``."""
    told = Told([str(one) for one in folders], str(parent) if parent else None, dict(limits), dict(access), count)
    Supervisor(told, taken, count).run()


def _failure(worker: Worker) -> TunewrightError:
    said = worker.said
    if "problem" in said:
        return TunewrightError(said["problem"], said["remedy"])
    return TunewrightError(
        f"a process of the service ended with code {worker.code} before it was ready",
        "look into the lines above this one; try --processes 1",
    )
