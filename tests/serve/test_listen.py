"""The service as a process: it listens, stops without losing a request, and says what it cannot do."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.serve.listen import bound

Running = Callable[..., Any]


def post(address: str, body: Any, path: str = "/predict") -> tuple[int, Any]:
    request = urllib.request.Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def ready(address: str) -> int:
    try:
        with urllib.request.urlopen(address + "/readyz", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def log_of(process: Any) -> list[Any]:
    process.log.seek(0)
    return [json.loads(line) for line in process.log]


def test_sigterm_finishes_what_is_under_way(running: Running) -> None:
    with running(2.0) as (process, address):
        answers: list[tuple[int, Any]] = []
        thread = threading.Thread(target=lambda: answers.append(post(address, {"inputs": ["slow", "a refund"]})))
        thread.start()
        time.sleep(0.5)
        assert ready(address) == 200
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        assert ready(address) == 503  # it says so before the door closes
        thread.join(20)
        assert process.wait(20) == 0
        ((status, body),) = answers
        assert status == 200
        assert body["predictions"][1]["label"] == "refund"
        assert [(line["path"], line["status"]) for line in log_of(process)] == [
            ("/readyz", 200),
            ("/readyz", 503),
            ("/predict", 200),
        ]
        with pytest.raises(urllib.error.URLError):
            post(address, {"inputs": ["a"]})


def test_ctrl_c_stops_at_once_when_nothing_is_under_way(running: Running) -> None:
    with running() as (process, address):
        assert ready(address) == 200
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert time.monotonic() - started < 3
        assert all(line["level"] == "info" for line in log_of(process))


def test_a_body_beyond_the_limit_gets_its_413_over_a_real_connection(running: Running) -> None:
    with running() as (_, address):
        host = address.removeprefix("http://")
        for length in (None, str(20 * 2**20)):
            connection = http.client.HTTPConnection(host, timeout=20)
            pieces = (b"x" * 2**16 for _ in range(320))
            connection.request("POST", "/predict", pieces, {"Content-Length": length} if length else {})
            response = connection.getresponse()
            assert response.status == 413
            assert json.load(response)["problem"] == "the body is larger than the limit of 8388608 bytes"
            connection.close()
        assert post(address, {"inputs": ["a refund"]})[0] == 200


def test_a_surrogate_over_a_real_connection_is_422(running: Running) -> None:
    with running() as (_, address):
        status, body = post(address, {"inputs": ["a", "\ud800"]})
        assert (status, body["problem"]) == (422, "input 1: character 0 is a lone surrogate (\\ud800)")


def test_a_port_in_use_is_an_error_with_a_remedy() -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(TunewrightError, match=rf"port {port} of 127\.0\.0\.1 is in use → .*--port"):
            bound("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "problem"),
    [
        ("192.0.2.1", 0, r"192\.0\.2\.1 is no address of this machine"),
        ("127.0.0.1", 70_000, "port 70000 is out of its range"),
        ("not a host", 80, "not a host:80 is no address"),
    ],
)
def test_an_address_that_cannot_be_had_is_an_error(host: str, port: int, problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        bound(host, port)


def test_the_loopback_of_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as free:
            free.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with bound("::1", 0) as taken:
        assert taken.family == socket.AF_INET6
