"""Several bundles in one request, and bundles that come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunewright.core.errors import TunewrightError
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf
from tunewright.serve.limits import Limits
from tunewright.serve.problems import Refusal
from tunewright.serve.registry import Registry

Connect = Callable[..., TestClient]
Siblings = Callable[[int], list[Path]]
TEXTS = ["where is my order?", "我要退款", "", "where is my order?"]


@pytest.fixture
def loaded(siblings: Siblings) -> list[Predictor]:
    shelf = Shelf()
    return [Predictor.load(folder, 1, shelf) for folder in siblings(3)]


def test_each_bundle_answers_as_it_does_alone(connect: Connect, loaded: list[Predictor]) -> None:
    client = connect(*loaded)
    names = ["task-2", "task-0"]
    body = client.post("/v1/predict", json={"bundles": names, "inputs": TEXTS, "top": 2}).json()
    assert list(body) == ["predictions", "bundles"]
    assert body["bundles"] == {name: loaded[int(name[-1])].manifest.digest for name in names}
    found = body["predictions"]
    assert [one["bundle"] for one in found] == names * 4  # by input, then by bundle
    assert len({one["id"] for one in found}) == 8
    for at, name in enumerate(names):
        alone = client.post(f"/v1/{name}/predict", json={"inputs": TEXTS, "top": 2}).json()["predictions"]
        own = found[at::2]
        assert [one["label"] for one in own] == [one["label"] for one in alone]
        assert [one["score"] for one in own if one["score"]] == pytest.approx(
            [one["score"] for one in alone if one["score"]], abs=1e-5
        )
    assert found[4]["reason"] == "empty"


def test_bundles_that_share_nothing_are_asked_in_one_request_too(
    connect: Connect, loaded: list[Predictor], bayes: ModuleType
) -> None:
    client = connect(loaded[0], bayes.topics_and_moods())
    body = client.post("/v1/predict", json={"bundles": ["both", "task-0"], "inputs": ["a refund", "my card"]}).json()
    found = [(one["bundle"], one["target"]) for one in body["predictions"]]
    assert found == [("both", "topic"), ("both", "mood"), ("task-0", "label")] * 2
    assert client.post("/v1/predict", json={"bundles": ["both", "task-0"], "inputs": []}).json()["predictions"] == []


@pytest.mark.parametrize(
    ("body", "status", "problem", "remedy"),
    [
        ({"inputs": ["a"]}, 422, '"bundles" is no list of names', 'send {"bundles": ["some", "names"]'),
        ({"bundles": [], "inputs": ["a"]}, 422, '"bundles" is no list of names', "send"),
        ({"bundles": [1], "inputs": ["a"]}, 422, '"bundles" is no list of names', "send"),
        ({"bundles": ["topcs"], "inputs": ["a"]}, 404, "there is no bundle 'topcs'", "did you mean 'topics'?"),
        ({"bundles": ["topics"] * 2, "inputs": ["a"]}, 422, "\"bundles\" names 'topics' twice", "name each"),
        ({"bundles": ["topics"], "input": ["a"]}, 422, "unknown field 'input'", "did you mean 'inputs'?"),
        ({"bundles": ["topics"]}, 422, 'the body has no "inputs"', "send"),
        ({"bundles": ["topics"], "inputs": [3]}, 422, "input 0 is a number, not a text", "send"),
        (
            {"bundles": ["topics", "both"], "inputs": ["a"] * 3}, 413,
            "3 inputs for 2 bundles in one request; the limit is 5 in all", "send at most 2 inputs per request",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    connect: Connect, bayes: ModuleType, body: Any, status: int, problem: str, remedy: str
) -> None:
    client = connect(bayes.topics(), bayes.topics_and_moods(), limits=Limits(batch_rows=5))
    response = client.post("/v1/predict", json=body)
    assert response.status_code == status
    assert response.json()["problem"] == problem
    assert response.json()["remedy"].startswith(remedy)


def test_the_form_of_several_is_described(connect: Connect, bayes: ModuleType) -> None:
    client = connect(bayes.topics("one"), bayes.topics("two"))
    route = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
    body = route["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["bundles"]["items"]["enum"] == ["one", "two"]
    assert client.post("/v1/predict", json=body["example"]).status_code == 200


# --- bundles that come and go ---


def test_a_bundle_that_is_put_later_is_served_described_and_counted(connect: Connect, bayes: ModuleType) -> None:
    registry = Registry({"one": bayes.topics("one")})
    client = connect(registry)
    assert client.post("/v1/two/predict", json={"inputs": ["a"]}).status_code == 404
    assert "/v1/two/predict" not in client.get("/openapi.json").json()["paths"]
    registry.put("two", bayes.topics("two"))
    assert client.post("/v1/two/predict", json={"inputs": ["a refund"]}).json()["predictions"][0]["label"] == "refund"
    assert "/v1/two/predict" in client.get("/openapi.json").json()["paths"]
    assert [one["name"] for one in client.get("/v1/bundles").json()["bundles"]] == ["one", "two"]
    registry.remove("one")
    assert client.post("/v1/one/predict", json={"inputs": ["a"]}).json()["remedy"] == "use one of: two"
    assert client.post("/predict", json={"inputs": ["a"]}).json()["bundle"] == bayes.topics("two").manifest.digest
    text = client.get("/metrics").text
    assert 'tunewright_bundle_info{bundle="two"' in text
    (line,) = [line for line in text.splitlines() if line.startswith('tunewright_bundle_info{bundle="one"')]
    assert line.endswith(" 0.0")


def test_a_request_ends_with_the_bundle_that_it_began_with(connect: Connect, bayes: ModuleType) -> None:
    old, new = bayes.topics("one", seconds=0.5), bayes.topics("newer")
    registry = Registry({"one": old})
    client = connect(registry)
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(client.post("/v1/one/predict", json={"inputs": ["slow", "a refund"]}).json())
    )
    thread.start()
    end = time.monotonic() + 10
    while not old.calls and time.monotonic() < end:
        time.sleep(0.005)
    registry.put("one", new)
    assert client.post("/v1/one/predict", json={"inputs": ["a"]}).json()["bundle"] == new.manifest.digest
    thread.join(20)
    assert answers[0]["bundle"] == old.manifest.digest
    assert answers[0]["predictions"][1]["label"] == "refund"


def test_the_last_bundle_and_one_that_is_not_there_cannot_go(bayes: ModuleType) -> None:
    registry = Registry({"one": bayes.topics("one")})
    with pytest.raises(Refusal, match="'one' is the only bundle"):
        registry.remove("one")
    with pytest.raises(Refusal, match="there is no bundle 'on' → did you mean 'one'"):
        registry.remove("on")
    with pytest.raises(TunewrightError, match="cannot stand in an address"):
        registry.put("a/b", bayes.topics())
    assert list(registry.served) == ["one"]


@pytest.mark.parametrize("names", [["top-0", "top-1"], ["lora-0", "lora-1", "top-1"]])
def test_bundles_that_share_a_part_of_their_encoder(
    names: list[str], connect: Connect, halved_bundles: dict[str, Path]
) -> None:
    shelf = Shelf()
    loaded = [Predictor.load(halved_bundles[name], 1, shelf) for name in names]
    assert len(shelf.encoders) == len({name.partition("-")[0] for name in names})
    client = connect(*loaded)
    body = client.post("/v1/predict", json={"bundles": names, "inputs": TEXTS}).json()
    for at, name in enumerate(names):
        alone = Predictor.load(halved_bundles[name], 1).predict(TEXTS)
        one = client.post(f"/v1/{name}/predict", json={"inputs": TEXTS}).json()["predictions"]
        for found in (body["predictions"][at :: len(names)], one):
            assert [each["label"] for each in found] == [each.label for each in alone]
            scores = [each["score"] for each in found if each["score"] is not None]
            assert scores == pytest.approx([each.score for each in alone if each.score is not None], abs=1e-5)
