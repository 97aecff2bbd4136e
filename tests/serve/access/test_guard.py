"""The guard: what it asks of a request before any route sees it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunewright.serve.access.access import Access
from tunewright.serve.access.keys import Keys, hash_of, new_key
from tunewright.serve.http import application
from tunewright.serve.limits import Limits

KEY, OTHER = new_key(), new_key()
KEYS = Keys({"web": hash_of(KEY), "app": hash_of(OTHER)})
BEARER = {"Authorization": f"Bearer {KEY}"}
ASKED = {"inputs": ["a refund"]}
Guarded = Callable[..., TestClient]


@pytest.fixture
def guarded(bayes: ModuleType) -> Iterator[Guarded]:
    """A client of an application with this access and these limits."""
    opened: list[TestClient] = []

    def connect(access: Access | None = None, limits: Limits | None = None, **options: Any) -> TestClient:
        app = application({"topics": bayes.topics()}, limits, None, access or Access(KEYS))
        opened.append(TestClient(app, **options))
        opened[-1].__enter__()
        return opened[-1]

    yield connect
    for one in opened:
        one.__exit__(None, None, None)


def metric(client: TestClient, name: str) -> float:
    lines = client.get("/metrics", headers=BEARER).text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


def test_without_a_key_there_is_a_401_that_says_how_to_send_one(guarded: Guarded) -> None:
    response = guarded().post("/predict", json=ASKED)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="tunewright"'
    assert response.json() == {
        "problem": "the request has no key",
        "remedy": "send it as Authorization: Bearer KEY",
    }


@pytest.mark.parametrize(
    "sent", ["Basic d2ViOng=", "Bearer", "Bearer ", KEY, "bearer" + KEY], ids=["basic", "bare", "blank", "key", "glued"]
)
def test_another_form_is_no_key(sent: str, guarded: Guarded) -> None:
    assert guarded().post("/predict", json=ASKED, headers={"Authorization": sent}).status_code == 401


@pytest.mark.parametrize("sent", ["x", KEY + "x", KEY[:-1], KEY.upper(), "k" * 5000, "tw_\xff"])
def test_a_wrong_key_is_a_401_that_does_not_repeat_it(sent: str, guarded: Guarded) -> None:
    response = guarded().post("/predict", json=ASKED, headers={"Authorization": f"Bearer {sent}".encode("latin-1")})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="tunewright", error="invalid_token"'
    assert response.json()["problem"] == "the key is not known here"
    assert sent not in response.text.replace("the key is not known here", "") or sent == "x"


def test_with_a_key_all_routes_answer(guarded: Guarded) -> None:
    client = guarded()
    assert client.post("/predict", json=ASKED, headers=BEARER).status_code == 200
    assert client.post("/predict", json=ASKED, headers={"Authorization": f"bearer {OTHER}"}).status_code == 200
    for path in ("/metrics", "/openapi.json"):
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers=BEARER).status_code == 200, path


def test_health_and_pages_need_no_key_and_tell_nothing_of_the_bundles(guarded: Guarded) -> None:
    client = guarded()
    for path in ("/healthz", "/readyz", "/", "/docs", "/pages/assets/try.js"):
        response = client.get(path)
        assert response.status_code == 200, path
        assert "topics" not in response.text, path


@pytest.mark.parametrize("path", ["//predict", "/pages/../predict", "/healthz/../metrics", "/healthz/", "/PREDICT"])
def test_no_spelling_of_a_path_goes_around_the_key(path: str, guarded: Guarded) -> None:
    client = guarded()
    for method in ("GET", "POST"):
        request = client.build_request(method, "/", json=ASKED)
        request.url = request.url.copy_with(raw_path=path.encode())
        assert client.send(request).status_code in (401, 404, 405)


def test_log_and_metrics_know_the_callers_name_and_never_the_key(
    guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    client = guarded()
    with caplog.at_level(logging.INFO, "tunewright.serve"):
        client.post("/predict", json={"inputs": ["a", "b", "c"]}, headers=BEARER)
        client.post("/predict", json=ASKED, headers={"Authorization": f"Bearer {KEY}x"})
    told = [getattr(record, "fields", {}) for record in caplog.records]
    assert [one.get("caller") for one in told] == ["web", None]
    assert KEY not in json.dumps(told)
    text = client.get("/metrics", headers=BEARER).text
    assert KEY not in text
    assert metric(client, 'tunewright_caller_rows_total{caller="web"}') == 3
    assert metric(client, 'tunewright_refused_total{reason="key"}') == 1


def test_more_requests_than_allowed_get_a_429_that_says_when(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tunewright.serve.access.rates.Rates.__init__.__defaults__", (10_000, lambda: now[0]))
    client = guarded(limits=Limits(requests_per_second=1))
    statuses = [client.post("/predict", json=ASKED, headers=BEARER).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    response = client.post("/predict", json=ASKED, headers=BEARER)
    assert response.headers["retry-after"] == "1"
    assert response.json()["problem"] == "this caller asks more often than it may"
    other = {"Authorization": f"Bearer {OTHER}"}
    assert client.post("/predict", json=ASKED, headers=other).status_code == 200  # each key has its own rate
    assert client.get("/healthz").status_code == 200  # a balancer is never refused
    now[0] += 1
    assert client.post("/predict", json=ASKED, headers=BEARER).status_code == 200


def test_who_guesses_keys_is_slowed_down_too(guarded: Guarded) -> None:
    client = guarded(limits=Limits(requests_per_second=1))
    statuses = [client.post("/predict", headers={"Authorization": "Bearer x"}).status_code for _ in range(6)]
    assert statuses[:2] == [401, 401]
    assert 429 in statuses


def test_more_rows_than_allowed_get_a_429_and_no_prediction(guarded: Guarded) -> None:
    client = guarded(limits=Limits(rows_per_second=5))
    assert client.post("/predict", json={"inputs": ["a"] * 10}, headers=BEARER).status_code == 200
    response = client.post("/predict", json={"inputs": ["a"] * 10}, headers=BEARER)
    assert response.status_code == 429
    assert response.json()["problem"] == "10 rows are more than this caller may ask for now"
    assert int(response.headers["retry-after"]) >= 1
    assert metric(client, 'tunewright_caller_rows_total{caller="web"}') == 10


def test_without_keys_the_address_is_the_caller(guarded: Guarded) -> None:
    limits = Limits(requests_per_second=1)
    client = guarded(Access(), limits, client=("192.0.2.1", 1000))
    assert [client.post("/predict", json=ASKED).status_code for _ in range(3)] == [200, 200, 429]
    app = client.app
    elsewhere = TestClient(app, client=("192.0.2.2", 1000))
    assert elsewhere.post("/predict", json=ASKED).status_code == 200


def test_one_ipv6_customer_is_one_caller(guarded: Guarded) -> None:
    client = guarded(Access(), Limits(requests_per_second=1), client=("2001:db8::1", 1))
    assert client.post("/predict", json=ASKED).status_code == 200
    neighbours = [TestClient(client.app, client=(f"2001:db8::{at}", 1)) for at in range(2, 5)]
    assert [one.post("/predict", json=ASKED).status_code for one in neighbours] == [200, 429, 429]


def test_a_page_whose_name_leads_here_is_refused(guarded: Guarded) -> None:
    client = guarded(Access(None, ("localhost", "127.0.0.1", "[::1]")), base_url="http://127.0.0.1:8080")
    assert client.post("/predict", json=ASKED).status_code == 200
    response = client.post("/predict", json=ASKED, headers={"Host": "rebound.example:8080"})
    assert response.status_code == 421
    assert response.json() == {
        "problem": "this service is not called 'rebound.example:8080'",
        "remedy": "start it with --allow-host NAME if it should be",
    }
    assert client.get("/readyz", headers={"Host": "10.0.0.7"}).status_code == 200  # as balancers call it


def test_a_long_address_is_a_414_and_long_headers_are_a_431(guarded: Guarded) -> None:
    client = guarded(Access())
    response = client.post("/predict?" + "x" * 4096, json=ASKED)
    assert (response.status_code, response.json()["problem"]) == (414, "the address is longer than 4096 bytes")
    response = client.post("/predict", json=ASKED, headers={"X-Long": "x" * 40_000})
    assert (response.status_code, response.json()["problem"]) == (431, "the headers are longer than 32768 bytes")


def test_bodies_together_have_a_limit_and_give_their_room_back(guarded: Guarded) -> None:
    client = guarded(Access(), Limits(bodies_bytes=1000))
    large = {"inputs": ["x" * 2000]}
    for _ in range(3):
        response = client.post("/predict", json=large)
        assert response.status_code == 429
        assert response.json()["problem"] == "the service holds as many bytes of requests as it may"
    for _ in range(20):
        assert client.post("/predict", json={"inputs": ["x" * 500]}).status_code == 200


def test_refusals_carry_the_security_headers(guarded: Guarded) -> None:
    response = guarded().get("/metrics")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert response.headers["cache-control"] == "no-store"


def test_names_of_clients_are_no_labels_of_metrics(guarded: Guarded) -> None:
    client = guarded()
    before = len(client.get("/metrics", headers=BEARER).text.splitlines())
    for number in range(50):
        client.get(f"/nothing/{number}", headers={"Authorization": f"Bearer {number}"})
        client.post(f"/v1/bundle-{number}/predict", json=ASKED, headers=BEARER)
        client.request(f"VERB{number}", "/predict", headers=BEARER)
    grown = len(client.get("/metrics", headers=BEARER).text.splitlines()) - before
    assert grown < 120  # three routes with their buckets and statuses, not one per name
