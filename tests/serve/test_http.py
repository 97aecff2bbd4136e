"""The routes: every status that they give, and what it says."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunewright.core.errors import TunewrightError
from tunewright.monitor.events import Event, NullSink
from tunewright.serve.http import application
from tunewright.serve.limits import Limits

Connect = Callable[..., TestClient]


def said(response: Any, status: int) -> tuple[str, str]:
    """Problem and remedy; nothing else is in an error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["problem", "remedy"]
    assert all(isinstance(value, str) and value for value in body.values())
    return body["problem"], body["remedy"]


# --- answers ---


def test_texts_and_records_are_answered_in_order(client: TestClient) -> None:
    response = client.post(
        "/predict", json={"inputs": ["i lost my card", {"text": "我要退款", "more": 1}, "my refund"]}
    )
    assert response.status_code == 200
    body = response.json()
    assert [one["label"] for one in body["predictions"]] == ["card lost", "退款", "refund"]
    assert all(list(one) == ["id", "target", "label", "score"] for one in body["predictions"])
    assert {one["target"] for one in body["predictions"]} == {"topic"}
    assert body["bundle"].startswith("sha256:")


def test_every_prediction_has_an_id_of_its_own(client: TestClient) -> None:
    ids = [
        one["id"]
        for _ in range(2)
        for one in client.post("/predict", json={"inputs": ["a"] * 50}).json()["predictions"]
    ]
    assert len(set(ids)) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


def test_an_empty_text_is_answered_by_null_and_a_reason(client: TestClient) -> None:
    (one,) = client.post("/predict", json={"inputs": [" "]}).json()["predictions"]
    assert (one["label"], one["score"], one["reason"]) == (None, None, "empty")
    assert "candidates" not in one


def test_top_lists_the_best_candidates(client: TestClient) -> None:
    (one,) = client.post("/predict", json={"inputs": ["i lost my card"], "top": 2}).json()["predictions"]
    assert [each["label"] for each in one["candidates"]] == ["card lost", "refund"]
    assert one["candidates"][0]["score"] == one["score"]
    assert "reason" not in one


def test_no_inputs_no_predictions(client: TestClient) -> None:
    response = client.post("/predict", json={"inputs": []})
    assert response.status_code == 200
    assert response.json()["predictions"] == []


def test_several_targets_give_one_prediction_each_per_row(connect: Connect, bayes: ModuleType) -> None:
    body = (
        connect(bayes.topics_and_moods())
        .post("/v1/both/predict", json={"inputs": ["stole my card", "a refund"]})
        .json()
    )
    assert [one["target"] for one in body["predictions"]] == ["topic", "mood", "topic", "mood"]
    assert [one["label"] for one in body["predictions"]][0:3:2] == ["card lost", "refund"]


def test_the_alias_is_the_first_bundle(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics("one"), bayes.topics("two"))
    digests = [
        client.post(path, json={"inputs": []}).json()["bundle"]
        for path in ("/predict", "/v1/one/predict", "/v1/two/predict")
    ]
    assert digests[0] == digests[1] != digests[2]


def test_records_of_several_columns(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics(inputs={"subject": "text", "message": "text"}))
    ok = client.post("/predict", json={"inputs": [{"subject": "refund", "message": "money back"}]})
    assert ok.json()["predictions"][0]["label"] == "refund"
    problem, remedy = said(client.post("/predict", json={"inputs": ["refund"]}), 422)
    assert problem == "input 0 is a string; the bundle reads 2 columns"
    assert remedy == 'send {"subject": "…", "message": "…"}'


def test_a_column_that_is_no_text_takes_any_json(connect: Connect, bayes: ModuleType) -> None:
    class Sums:
        manifest = bayes.manifest("sums", {"series": "numbers"}, {"topic": "classify"})
        kinds = bayes.topics().kinds

        def answers(
            self, inputs: Sequence[Any], top: int = 0, targets: Any = None, error: Any = None
        ) -> dict[str, list[Any]]:
            label = type(self.kinds["topic"].empty("")).__call__
            rows = [row["series"] if isinstance(row, dict) else row for row in inputs]
            return {"topic": [label(str(sum(row)), 1.0) for row in rows]}

    client = connect(Sums())
    body = client.post("/predict", json={"inputs": [{"series": [1, 2]}, [3, 4]]}).json()
    assert [one["label"] for one in body["predictions"]] == ["3", "7"]
    assert said(client.post("/predict", content=b'{"inputs": [["\\ud800"]]}'), 422)[0].startswith(
        "input 0: character 0 is a lone"
    )


def test_long_requests_are_done_in_slices_and_come_back_in_order(connect: Connect, bayes: ModuleType) -> None:
    predictor = bayes.topics()
    client = connect(predictor, limits=Limits(threads=1, batch_cost=15))
    texts = ["i lost my card", "a refund", "a transfer", "我要退款"] * 5
    found = client.post("/predict", json={"inputs": texts}).json()["predictions"]
    assert [one["label"] for one in found] == ["card lost", "refund", "transfer", "退款"] * 5
    assert predictor.calls > 5


# --- requests that are refused ---


@pytest.mark.parametrize(
    "body", [b"", b"not json", b'{"inputs": ["a"]', b"\xff\xfe\xfa", b'{"inputs": [NaN]}', b"\x00"]
)
def test_what_is_not_json_is_400(client: TestClient, body: bytes) -> None:
    problem, remedy = said(client.post("/predict", content=body), 400)
    assert problem.startswith("the body is not JSON")
    assert remedy in ('send {"inputs": ["some text"]}', "encode it as UTF-8")


def test_json_nested_too_deeply_is_400(client: TestClient) -> None:
    problem, _ = said(client.post("/predict", content=b'{"inputs": ' + b"[" * 200_000), 400)
    assert "nested too deeply" in problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ([], "the body is a list, not an object"),
        ("text", "the body is a string, not an object"),
        ({}, 'the body has no "inputs"'),
        ({"inputs": "text"}, '"inputs" is a string, not a list'),
        ({"inputs": None}, '"inputs" is null, not a list'),
        ({"inputs": {"text": "a"}}, '"inputs" is an object, not a list'),
        ({"inputs": ["a", 7]}, "input 1 is a number, not a text"),
        ({"inputs": ["a", True]}, "input 1 is true or false, not a text"),
        ({"inputs": [["a"]]}, "input 0 is a list, not a text"),
        ({"inputs": ["a", {"text": None}]}, "input 1, column 'text' is null, not a text"),
        ({"inputs": ["a", {"body": "b"}]}, "input 1: column 'text' is missing (it has 'body')"),
        ({"inputs": ["a", {}]}, "input 1: column 'text' is missing"),
        ({"inputs": ["a"], "top": "3"}, '"top" is a string, not a whole number'),
        ({"inputs": ["a"], "top": 1.5}, '"top" is a number, not a whole number'),
        ({"inputs": ["a"], "top": True}, '"top" is true or false, not a whole number'),
        ({"inputs": ["a"], "top": -1}, '"top" is out of its range 0 to 100'),
        ({"inputs": ["a"], "top": 101}, '"top" is out of its range 0 to 100'),
        ({"inputs": ["a"], "topk": 3}, "unknown field 'topk'"),
    ],
)
def test_a_value_of_the_wrong_type_is_422(client: TestClient, body: Any, problem: str) -> None:
    assert said(client.post("/predict", json=body), 422)[0] == problem


def test_an_unknown_field_names_the_nearest(client: TestClient) -> None:
    assert said(client.post("/predict", json={"input": ["a"]}), 422) == (
        "unknown field 'input'",
        "did you mean 'inputs'?",
    )


def test_the_remedies_of_a_wrong_body_work(client: TestClient) -> None:
    remedies = {said(client.post("/predict", json=body), 422)[1] for body in ({}, [], {"inputs": "a"})}
    assert remedies == {'send {"inputs": ["some text"]}'}
    assert client.post("/predict", content=remedies.pop().removeprefix("send ").encode()).status_code == 200


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a\\u0000b", "character 1 is NUL"),
        ("ab\\ud800", "character 2 is a lone surrogate (\\ud800)"),
        ("\\udc00ab", "character 0 is a lone surrogate (\\udc00)"),
        ("一\\ud83d", "character 1 is a lone surrogate (\\ud83d)"),
    ],
)
def test_nul_and_lone_surrogates_are_422_with_their_index(client: TestClient, text: str, what: str) -> None:
    for place, value in (("input 1", f'"{text}"'), ("input 1, column 'text'", f'{{"text": "{text}"}}')):
        body = f'{{"inputs": ["fine", {value}]}}'.encode()
        assert said(client.post("/predict", content=body), 422)[0] == f"{place}: {what}"


def test_a_whole_surrogate_pair_is_a_character(client: TestClient) -> None:
    assert client.post("/predict", content=b'{"inputs": ["\\ud83d\\ude00 refund"]}').status_code == 200


def test_surrogates_as_raw_bytes_and_in_names_are_refused_too(client: TestClient) -> None:
    assert "lone surrogate" in said(client.post("/predict", content=b'{"inputs": ["\xed\xa0\x80"]}'), 422)[0]
    assert said(client.post("/predict", content=b'{"\\ud800": 1}'), 422)[0] == "unknown field '\\ud800'"
    problem, _ = said(client.post("/predict", content=b'{"inputs": [{"\\ud800": "a"}]}'), 422)
    assert problem == "input 0: column 'text' is missing (it has '\\ud800')"


def test_a_text_beyond_the_limit_is_422_with_its_index(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics(), limits=Limits(text_characters=10))
    assert client.post("/predict", json={"inputs": ["一" * 10]}).status_code == 200
    problem, remedy = said(client.post("/predict", json={"inputs": ["ok", "a" * 11]}), 422)
    assert problem == "input 1: the text is 11 characters long; the limit is 10"
    assert remedy == "split it into shorter texts"


def test_more_inputs_than_the_limit_is_413(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics(), limits=Limits(batch_rows=3))
    assert client.post("/predict", json={"inputs": ["a"] * 3}).status_code == 200
    problem, remedy = said(client.post("/predict", json={"inputs": ["a"] * 4}), 413)
    assert problem == "4 inputs in one request; the limit is 3"
    assert remedy == "send at most 3 per request; `tunewright predict` takes whole files"


def test_a_hundred_thousand_texts_are_413(client: TestClient) -> None:
    assert said(client.post("/predict", json={"inputs": ["a refund"] * 100_000}), 413)[0].startswith("100000 inputs")


def test_a_body_beyond_the_limit_is_413_with_or_without_its_length(connect: Connect, bayes: ModuleType) -> None:
    predictor = bayes.topics()
    client = connect(predictor, limits=Limits(body_bytes=1000))

    def chunks() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * 100

    for content in (b"x" * 1001, chunks()):
        problem, remedy = said(client.post("/predict", content=content), 413)
        assert problem == "the body is larger than the limit of 1000 bytes"
        assert remedy.startswith("send fewer or shorter texts")
    fits = b'{"inputs": ["a"]}'.ljust(1000)
    assert client.post("/predict", content=fits).status_code == 200
    assert predictor.calls == 1


def test_an_unknown_bundle_is_404_with_the_nearest_name(client: TestClient) -> None:
    problem, remedy = said(client.post("/v1/topic/predict", json={"inputs": ["a"]}), 404)
    assert (problem, remedy) == ("there is no bundle 'topic'", "did you mean 'topics'?")
    assert said(client.post("/v1/xyz/predict", json={}), 404)[1] == "use one of: topics"


def test_an_unknown_page_is_404_and_a_wrong_method_405(client: TestClient) -> None:
    assert said(client.get("/nowhere"), 404)[0] == "there is no page '/nowhere'"
    assert said(client.get("/pages/assets/none.js"), 404)[0] == "there is no page '/pages/assets/none.js'"
    response = client.get("/predict")
    assert said(response, 405) == ("'/predict' does not take 'GET'", "use POST")
    assert response.headers["allow"] == "POST"
    assert said(client.delete("/v1/topics/predict"), 405)[1] == "use POST"


@pytest.mark.parametrize(
    "path", ["/pages/vendor/../site.py", "/pages/vendor/..%2fsite.py", "/pages/assets/%2e%2e/site.py", "/pages/site.py"]
)
def test_only_the_pages_own_files_are_given_out(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_page_of_another_site_is_refused(client: TestClient) -> None:
    body = {"inputs": ["a"]}
    assert said(client.post("/predict", json=body, headers={"Sec-Fetch-Site": "cross-site"}), 403)[0].startswith(
        "a page of another"
    )
    assert client.post("/predict", json=body, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_what_the_predictor_refuses_is_422(client: TestClient) -> None:
    assert said(client.post("/predict", json={"inputs": ["a", "refused"]}), 422) == (
        "row 1: it is refused",
        "send another one",
    )


def test_a_refusal_in_a_later_slice_says_where_it_counts_from(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics(), limits=Limits(batch_cost=4))
    problem, _ = said(client.post("/predict", json={"inputs": ["a", "b", "c", "refused"]}), 422)
    assert problem == "(counted from input 2) row 1: it is refused"


def test_a_failure_is_500_and_tells_nothing(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    response = client.post("/predict", json={"inputs": ["broken"]})
    problem, remedy = said(response, 500)
    assert problem == "internal error"
    assert "log" in remedy
    assert "secret" not in response.text
    (record,) = [one for one in caplog.records if one.message == "internal error"]
    assert record.exc_info is not None
    assert record.exc_info[0] is RuntimeError


def test_no_answer_in_time_is_504_and_the_rest_of_the_work_is_dropped(connect: Connect, bayes: ModuleType) -> None:
    predictor = bayes.topics(seconds=0.2)
    client = connect(predictor, limits=Limits(timeout_seconds=0.3, threads=1, batch_cost=1))
    started = time.monotonic()
    problem, remedy = said(client.post("/predict", json={"inputs": ["slow"] * 50}), 504)
    assert time.monotonic() - started < 2
    assert problem == "no answer within 0.3 seconds"
    assert remedy.startswith("send fewer")
    time.sleep(0.5)
    assert predictor.calls <= 3


def test_too_much_at_once_is_429(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics(seconds=1), limits=Limits(threads=1, waiting_rows=2, batch_cost=1))
    answers: list[Any] = []

    def post(*texts: str) -> None:
        answers.append(client.post("/predict", json={"inputs": texts}))

    threads = [threading.Thread(target=post, args=texts) for texts in (["slow"], ["a refund"])]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    response = client.post("/predict", json={"inputs": ["a refund", "my card"]})
    assert said(response, 429) == ("the service is busy: inputs that wait: 1", "try again in 1 second")
    assert response.headers["retry-after"] == "1"
    assert client.get("/healthz").status_code == 200  # the event loop is free
    for thread in threads:
        thread.join()
    assert [one.status_code for one in answers] == [200, 200]
    assert client.post("/predict", json={"inputs": ["a refund"] * 5}).status_code == 200  # alone it may be longer


# --- state, headers, schema ---


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.app.state.stopping = 15  # type: ignore[attr-defined]
    assert said(client.get("/readyz"), 503)[0] == "the service is stopping"
    assert client.get("/healthz").status_code == 200
    assert client.post("/predict", json={"inputs": ["a"]}).status_code == 200


def test_metrics_count_and_hold_no_words_of_clients(client: TestClient) -> None:
    client.post("/predict", json={"inputs": ["my secret"] * 3})
    client.get("/secret-path")
    client.post("/v1/secret-bundle/predict", json={})
    text = client.get("/metrics").text
    assert 'tunewright_requests_total{method="POST",route="/predict",status="200"} 1.0' in text
    assert 'tunewright_request_rows_sum{bundle="topics"} 3.0' in text
    assert 'tunewright_request_seconds_count{route="/predict"} 1.0' in text
    assert 'tunewright_requests_total{method="GET",route="other",status="404"} 1.0' in text
    assert "tunewright_requests_under_way 1.0" in text
    assert 'tunewright_bundle_info{bundle="topics",digest="sha256:' in text
    assert "secret" not in text


def test_metrics_count_inputs_with_personal_data_and_hold_none_of_it(client: TestClient) -> None:
    texts = ["write to ann@example.com or bob@example.com", "card 4111 1111 1111 1111, ann@example.com", "room 12"]
    client.post("/predict", json={"inputs": texts})
    text = client.get("/metrics").text
    assert 'tunewright_personal_data_total{bundle="topics",kind="email"} 2.0' in text
    assert 'tunewright_personal_data_total{bundle="topics",kind="card"} 1.0' in text
    assert 'kind="phone"' not in text
    assert "ann" not in text
    assert "4111" not in text


def test_two_applications_have_metrics_of_their_own(connect: Connect, bayes: ModuleType) -> None:
    one, two = connect(bayes.topics()), connect(bayes.topics())
    one.get("/healthz")
    assert 'route="/healthz"' in one.get("/metrics").text
    assert 'route="/healthz"' not in two.get("/metrics").text


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/openapi.json", "/nowhere", "/pages/assets/try.js"])
def test_every_response_has_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert len(headers.get_list("cache-control")) == 1


def test_the_schema_is_exact(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics(), bayes.topics_and_moods(), limits=Limits(batch_rows=7, text_characters=99))
    schema = client.get("/openapi.json").json()
    schemas = schema["components"]["schemas"]
    assert set(schema["paths"]) == {
        "/predict",
        "/v1/predict",
        "/v1/topics/predict",
        "/v1/both/predict",
        "/v1/bundles",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    topic = schemas["topics-topic"]
    assert topic["required"] == ["id", "target", "label", "score"]
    assert topic["properties"]["target"]["const"] == "topic"
    assert set(topic["properties"]) == {"id", "target", "label", "score", "reason", "candidates"}
    assert topic["properties"]["label"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    both = schemas["both-answer"]["properties"]["predictions"]["items"]["anyOf"]
    assert [one["$ref"].rpartition("/")[2] for one in both] == ["both-topic", "both-mood"]
    body = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["inputs"]["maxItems"] == 7
    assert body["schema"]["properties"]["inputs"]["items"]["anyOf"][0]["maxLength"] == 99
    assert client.post("/predict", json=body["example"]).status_code == 200


def test_bundles_with_chinese_names(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics("意图"), bayes.topics("图意"))
    assert client.post("/v1/图意/predict", json={"inputs": ["退款"]}).json()["predictions"][0]["label"] == "退款"
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/意图/predict", "/v1/图意/predict"} < set(paths)


@pytest.mark.parametrize("name", ["", " ", "a/b", "{a}", "a?b", "a\nb"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(bayes: ModuleType, name: str) -> None:
    with pytest.raises(TunewrightError, match="cannot stand in an address"):
        application({name: bayes.topics()})


def test_no_bundle_is_an_error() -> None:
    with pytest.raises(TunewrightError, match="there is no bundle to serve"):
        application({})


# --- events ---


class Kept:
    """A sink that keeps what it gets, or fails."""

    def __init__(self, fail: bool = False) -> None:
        self.events: list[Event] = []
        self.fail = fail

    def emit(self, events: Sequence[Event]) -> None:
        if self.fail:
            raise OSError("disk full")
        self.events += events


def test_one_event_per_prediction(connect: Connect, bayes: ModuleType) -> None:
    sink = Kept()
    client = connect(bayes.topics_and_moods(), sink=sink)
    body = client.post("/predict", json={"inputs": ["a refund", {"text": "my card"}], "top": 1}).json()
    assert [event.id for event in sink.events] == [one["id"] for one in body["predictions"]]
    assert [event.target for event in sink.events] == ["topic", "mood", "topic", "mood"]
    assert [event.input for event in sink.events] == ["a refund", "a refund", {"text": "my card"}, {"text": "my card"}]
    first = sink.events[0]
    assert first.bundle == body["bundle"]
    assert {"id": first.id, "target": first.target, **first.answer} == body["predictions"][0]
    assert json.loads(json.dumps(first.answer)) == first.answer
    assert abs(first.time - time.time()) < 60


def test_a_refused_request_gives_no_event(connect: Connect, bayes: ModuleType) -> None:
    sink = Kept()
    client = connect(bayes.topics(seconds=0.2), limits=Limits(timeout_seconds=0.1), sink=sink)
    assert client.post("/predict", json={"inputs": ["a", 1]}).status_code == 422
    assert client.post("/predict", json={"inputs": ["slow"]}).status_code == 504
    time.sleep(0.3)
    assert sink.events == []


def test_a_sink_that_fails_costs_no_answer(
    connect: Connect, bayes: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(bayes.topics(), sink=Kept(fail=True))
    assert client.post("/predict", json={"inputs": ["a refund"]}).status_code == 200
    assert "the event sink failed" in caplog.messages
    assert "tunewright_sink_failures_total 1.0" in client.get("/metrics").text


def test_the_null_sink_costs_nothing(connect: Connect, bayes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*_: Any) -> None:
        pytest.fail("an event was made for nobody")

    monkeypatch.setattr("tunewright.serve.predict.Event", made)
    for sink in (None, NullSink()):
        assert connect(bayes.topics(), sink=sink).post("/predict", json={"inputs": ["a"]}).status_code == 200
