"""A caller that leaves early, over a real connection: its rows are never computed, and nobody waits for them."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

Running = Callable[..., Any]


def post(address: str, *texts: str) -> tuple[int, Any]:
    body = json.dumps({"inputs": texts}).encode()
    request = urllib.request.Request(f"{address}/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.status, json.load(response)


def test_who_hangs_up_costs_nothing(running: Running) -> None:
    with running(1.5) as (process, address):
        busy = [threading.Thread(target=post, args=(address, "slow")) for _ in range(2)]
        for one in busy:
            one.start()
        time.sleep(0.5)
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as gone:
            body = json.dumps({"inputs": ["slow"] * 100}).encode()
            head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
            gone.sendall(head.encode() + body)
            time.sleep(0.3)
        status, answer = post(address, "a refund")  # behind a hundred slow rows it would take minutes
        assert (status, answer["predictions"][0]["label"]) == (200, "refund")
        for one in busy:
            one.join(30)
        process.log.seek(0)
        told = [json.loads(line) for line in process.log]
        assert sorted(line["status"] for line in told) == [200, 200, 200, 499]
        assert not [line for line in told if line["level"] != "info"]
