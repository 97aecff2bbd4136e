"""The door, over real connections: slow, silent, greedy and leaving clients; each parser of HTTP alike."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Running = Callable[..., Any]
LIMITS = {"head_seconds": 0.6, "write_seconds": 0.6, "timeout_seconds": 1, "connections": 20, "body_bytes": 100_000}
HEAD = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
BODY = json.dumps({"inputs": ["a refund"]}).encode()
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.fixture(scope="module", params=["httptools", "h11"])
def service(request: pytest.FixtureRequest, running: Running) -> Iterator[tuple[Any, tuple[str, int]]]:
    if request.param == "httptools":
        pytest.importorskip("httptools")
    options = ("--limits", json.dumps(LIMITS), "--parser", request.param)
    with running(options=options) as (process, address):
        host, _, port = address.removeprefix("http://").partition(":")
        yield process, (host, int(port))


def connected(at: tuple[str, int]) -> socket.socket:
    return socket.create_connection(at, timeout=15)


def rest(client: socket.socket) -> bytes:
    """All that still comes until the service closes."""
    pieces = []
    try:
        while piece := client.recv(2**16):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def one(client: socket.socket) -> bytes:
    """One answer."""
    answer = b""
    while not answer.endswith(b"}"):
        answer += client.recv(2**16)
    return answer


def parsed(answer: bytes) -> tuple[int, dict[str, str]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def answers(at: tuple[str, int]) -> bool:
    with connected(at) as client:
        client.sendall(WHOLE.replace(b"Content-Type", b"Connection: close\r\nContent-Type"))
        return rest(client).startswith(b"HTTP/1.1 200")


def rss_bytes(process: Any) -> int:
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


def test_a_head_that_comes_slowly_is_a_408(service: Any) -> None:
    with connected(service[1]) as client:
        client.sendall(HEAD[:20])
        started = time.monotonic()
        try:
            for at in range(20, len(HEAD)):  # a byte now and then, as slow attacks do
                client.sendall(HEAD[at : at + 1])
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() - started < 5
        status, said = parsed(rest(client))
    assert status == 408
    assert said["problem"] == "the head of the request did not arrive within 0.6 seconds"


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(service: Any) -> None:
    with connected(service[1]) as client:
        assert rest(client) == b""


def test_a_second_request_has_its_own_time(service: Any) -> None:
    with connected(service[1]) as client:
        for _ in range(3):
            client.sendall(WHOLE)
            assert one(client).startswith(b"HTTP/1.1 200")
            time.sleep(0.8)  # longer than a head may take: idle between two requests is fine
        client.sendall(HEAD)
        assert parsed(rest(client))[0] == 408


def test_a_head_that_is_too_long_is_a_431(service: Any) -> None:
    with connected(service[1]) as client:
        client.sendall(HEAD)
        try:
            for at in range(100):
                client.sendall(b"X-%d: %s\r\n" % (at, b"x" * 1000))
        except OSError:
            pass
        answer = rest(client)
    if answer:  # a client that still sends may see the connection reset before it reads
        assert parsed(answer) == (431, {
            "problem": "the head of the request is longer than 32768 bytes", "remedy": "send what is long in the body",
        })  # fmt: skip
    assert answers(service[1])


def test_a_body_that_comes_slowly_is_a_408(service: Any) -> None:
    with connected(service[1]) as client:
        client.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        status, said = parsed(rest(client))
    assert (status, said["problem"]) == (408, "the body did not arrive within 1 seconds")


def test_a_caller_that_leaves_early_costs_nothing(service: Any) -> None:
    for sent in (HEAD, HEAD + b"Content-Length: 100\r\n\r\n{", WHOLE):
        for _ in range(10):
            with connected(service[1]) as client:
                client.sendall(sent)
    assert answers(service[1])


@pytest.mark.parametrize("path", [b"/predict", b"/nothing"])
def test_ten_gigabytes_are_refused_and_never_held(path: bytes, service: Any) -> None:
    process, at = service
    assert answers(at)
    before, sent, piece = rss_bytes(process), 0, b"x" * 2**20
    with connected(at) as client:
        client.sendall(HEAD.replace(b"/predict", path) + b"Content-Length: %d\r\n\r\n" % (10 * 2**30))
        try:
            while sent < 10 * 2**30:
                client.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
    assert sent < 50 * 2**20  # the service closed long before that
    assert rss_bytes(process) - before < 20 * 2**20
    assert answers(at)


def test_more_connections_than_there_may_be_get_a_503(service: Any) -> None:
    held = [connected(service[1]) for _ in range(LIMITS["connections"])]
    try:
        for one in held:
            one.sendall(HEAD[:10])
        time.sleep(0.2)
        with connected(service[1]) as client:
            status, said = parsed(rest(client))
        assert (status, said["problem"]) == (503, "20 connections are open, as many as may be")
    finally:
        for one in held:
            one.close()
    deadline = time.monotonic() + 10
    while not answers(service[1]):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_client_that_does_not_take_its_answer_is_left(service: Any) -> None:
    # The largest thing that is served: it does not fit into the buffers of both sides.
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(15)
        client.connect(service[1])
        for _ in range(10):
            client.sendall(b"GET /pages/vendor/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(2)
        received = len(rest(client))
    assert received < 10 * 1_700_000  # it was cut off
    assert answers(service[1])


@pytest.mark.parametrize("path", [
    "/pages/assets/../../../../../etc/passwd", "/pages/assets/..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "/pages/vendor/%2e%2e/%2e%2e/%2e%2e/service.py", "/pages/assets/....//....//service.py",
    "/pages/assets//etc/passwd",
    "/pages/assets/%00", "/pages/assets/try.js%00.txt", "/pages/assets/..\\..\\service.py",
    "/v1/../../etc/passwd/predict",
    "/pages/assets/", "/pages/", "/..%5c..%5cetc/passwd", "/pages/assets/%c0%ae%c0%ae/service.py",
])  # fmt: skip
def test_no_path_leads_to_the_file_system(path: str, service: Any) -> None:
    with connected(service[1]) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = rest(client)
    assert answer.split()[1] in (b"404", b"400", b"405"), answer[:200]
    assert b"root:" not in answer
    assert b"import" not in answer
