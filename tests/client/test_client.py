"""Both clients against a service in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import tunewright
from tunewright.client import AsyncClient, Client, Prediction, Refused
from tunewright.client.calls import Bounds, _cut
from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.serve.access.keys import line_of, new_key

KEY = new_key()
LIMITS = {"batch_rows": 100, "body_bytes": 20_000}
TEXTS = ["i lost my card", "please give my money back", "how long does a transfer take"]
LABELS = ["card lost", "refund", "transfer"]


class Waiting:
    """The async client by the methods of the other one, so that each test asks both."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self._given, self._named = given, named

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*given: Any, **named: Any) -> Any:
            async with AsyncClient(*self._given, **self._named) as client:
                return await getattr(client, name)(*given, **named)

        return lambda *given, **named: asyncio.run(call(*given, **named))


@pytest.fixture(scope="module")
def address(running: Callable[..., Any]) -> Iterator[str]:
    options = ("--limits", json.dumps(LIMITS))
    with running(options=options, environment={"TUNEWRIGHT_KEYS": line_of("tests", KEY)}) as (_, address):
        yield address


@pytest.fixture(params=[Client, Waiting], ids=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes clients that are closed in the end; ``Waiting`` closes its own."""
    with ExitStack() as opened:

        def made(*given: Any, **named: Any) -> Any:
            client = request.param(*given, **named)
            return opened.enter_context(client) if isinstance(client, Client) else client

        yield made


@pytest.fixture
def client(make: Any, address: str) -> Any:
    return make(address, KEY, timeout=20)


def test_predictions_come_in_order_and_typed(client: Any) -> None:
    found = client.predict(TEXTS, top=2)
    assert all(isinstance(one, Prediction) for one in found)
    assert [one.label for one in found] == LABELS
    assert [len(one.candidates) for one in found] == [2, 2, 2]
    assert found[0].candidates[0].label == "card lost"
    assert found[0].score == found[0].candidates[0].score
    assert {one.target for one in found} == {"topic"}
    assert len({one.id for one in found}) == 3
    assert found[0].bundle.startswith("sha256:")
    assert found[0].more == {}


def test_an_empty_text_has_a_reason_and_no_label(client: Any) -> None:
    (found,) = client.predict([""])
    assert (found.label, found.score, found.reason) == (None, None, "empty")


def test_several_targets_are_a_mapping(client: Any) -> None:
    (found,) = client.predict([TEXTS[1]], bundle="both")
    assert {name: one.label for name, one in found.items()} == {"topic": "refund", "mood": "angry"}
    (one,) = client.predict([{"text": TEXTS[1]}], bundle="both", targets=["mood"])
    assert one.label == "angry"


def test_any_number_of_inputs_is_cut_to_the_limits_of_the_service(client: Any) -> None:
    texts = [TEXTS[at % 3] for at in range(1000)]
    assert [one.label for one in client.predict(iter(texts))] == [LABELS[at % 3] for at in range(1000)]
    long = [f"{TEXTS[0]} {'x' * 4000}" for _ in range(30)]  # six times the longest body
    assert {one.label for one in client.predict(long)} == {"card lost"}


def test_no_input_asks_for_nothing(make: Any) -> None:
    assert make("http://127.0.0.1:9", KEY).predict([]) == []


def test_an_input_that_alone_is_too_large_is_refused_by_the_service(client: Any) -> None:
    with pytest.raises(Refused, match="larger than the limit of 20000 bytes") as told:
        client.predict(["x" * 70_000])
    assert told.value.status == 413


def test_a_refusal_carries_the_words_of_the_service(client: Any) -> None:
    with pytest.raises(TunewrightError, match="there is no bundle 'topcis' → did you mean 'topics'?"):
        client.predict(["a"], bundle="topcis")
    with pytest.raises(Refused, match="input 1 is a number, not a text") as told:
        client.predict(["a", 1])
    assert told.value.status == 422


def test_bundles_and_readiness(client: Any) -> None:
    first, second = client.bundles()
    assert (first.name, first.inputs) == ("topics", {"text": "text"})
    assert [(one.name, one.kind, one.labels) for one in second.targets] == [
        ("topic", "classify", 4), ("mood", "classify", 2),
    ]  # fmt: skip
    assert client.ready() is True


def test_a_service_that_is_not_there_is_not_ready_and_an_error(make: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = make(f"http://127.0.0.1:{free.getsockname()[1]}", timeout=0.5)
        assert client.ready() is False
        with pytest.raises(Refused, match="the service cannot be reached: .* → look whether it runs"):
            client.predict(["a"])


def test_a_wrong_key_is_told_and_never_shown(make: Any, address: str) -> None:
    key = new_key()
    with pytest.raises(Refused, match="the key is not known here") as told:
        make(address, key).predict(["a"])
    assert key not in str(told.value)


def test_the_key_may_come_from_the_environment(make: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_KEY", KEY)
    assert make(address).predict([TEXTS[0]])[0].label == "card lost"


def test_an_explanation_is_typed(make: Any, static_service: str) -> None:
    (found,) = make(static_service).explain("where is my order", pieces=4, method="occlusion")
    assert found.label == "order_status"
    assert [one.text for one in found.pieces] == ["where", "is", "my", "order"]
    assert found.asked > 0


def test_calls_wait_for_a_service_that_restarts(running: Callable[..., Any]) -> None:
    with running() as (process, address), Client(address, timeout=30) as client:
        assert client.predict([TEXTS[0]])[0].label == "card lost"
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        port = int(address.rpartition(":")[2])
        found: list[Any] = []
        asking = threading.Thread(target=lambda: found.extend(client.predict([TEXTS[0]])))
        asking.start()
        with running(options=("--port", str(port))):
            asking.join(30)
        assert [one.label for one in found] == ["card lost"]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://x", "http://", "http://x?y"])
def test_what_is_no_address_is_refused(make: Any, url: str) -> None:
    with pytest.raises(TunewrightError, match="is no address of a service"):
        Client(url)


def test_one_text_in_place_of_a_list_is_refused(client: Any) -> None:
    with pytest.raises(TunewrightError, match=r"the inputs are one str, not a list of them → put it into a list"):
        client.predict("a text")


def test_what_json_cannot_hold_is_refused_before_anything_is_sent(make: Any) -> None:
    with pytest.raises(TunewrightError, match="an input is no JSON value"):
        make("http://127.0.0.1:9").predict([float("nan")])


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingExtra, match=r"the client needs httpx2.* → pip install 'tunewright\[client\]'"):
        Client("http://127.0.0.1:8080")


def test_batches_keep_both_bounds() -> None:
    rows = [b"x" * size for size in (5, 5, 5, 100, 1, 1, 1, 1)]
    assert [list(map(len, some)) for some in _cut(rows, Bounds(3, 20))] == [[5, 5], [5], [100], [1, 1, 1], [1]]


def test_importing_the_client_loads_no_library() -> None:
    code = "import sys, tunewright; tunewright.Client; print(*{name.partition('.')[0] for name in sys.modules})"
    around = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=around)
    assert not {"httpx2", "httpx", "numpy", "pydantic", "fastapi", "onnxruntime"} & set(done.stdout.split())
    assert tunewright.AsyncClient is AsyncClient
