"""A socket that somebody else holds: a service takes it over, and is replaced on it without a lost request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.serve.handed import handed

SERVICE = Path(__file__).parent / "bayes.py"


@contextmanager
def started(held: socket.socket) -> Iterator[subprocess.Popen[str]]:
    """A service at this socket, as systemd starts one: as descriptor 3, told by the environment."""
    script = f'exec 3<&{held.fileno()}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" "$@"'
    command = ["bash", "-c", script, sys.executable, str(SERVICE)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, pass_fds=[held.fileno()]
    ) as process:
        try:
            assert process.stdout is not None
            port = held.getsockname()[1]
            assert f"at http://127.0.0.1:{port} " in process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_a_restart_under_load_loses_no_request(callers: ModuleType) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(100)
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with started(held) as old, callers.Callers(address, 4) as asking:
            wait_for(asking, 50)
            with started(held):
                old.send_signal(signal.SIGTERM)
                assert old.wait(30) == 0
                wait_for(asking, 50)
                asking.stop()
    assert asking.lost == []
    assert set(asking.statuses) == {200}


def test_what_comes_while_no_process_runs_waits_in_the_socket(callers: ModuleType) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen(100)
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with callers.Callers(address, 2) as asking:
            with started(held) as old:
                wait_for(asking, 20)
                old.send_signal(signal.SIGTERM)
                assert old.wait(30) == 0
            with started(held):
                wait_for(asking, 20)
                asking.stop()
    assert asking.lost == []


def wait_for(asking: object, more: int) -> None:
    statuses: list[int] = getattr(asking, "statuses")  # noqa: B009 - its class is loaded from a file
    seen, deadline = len(statuses), time.monotonic() + 60
    while len(statuses) < seen + more:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_word_of_a_socket_or_one_for_another_process_is_none() -> None:
    assert handed({}) is None
    assert handed({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None


def test_several_sockets_are_refused_and_a_child_is_told_nothing() -> None:
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
    with pytest.raises(TunewrightError, match="2 sockets were handed over → hand over exactly one"):
        handed(environment)
    assert environment == {}
