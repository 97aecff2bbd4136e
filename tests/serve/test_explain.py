"""The explain route: what it answers, what it refuses, and how it is described."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunewright.kinds.classify import Classify
from tunewright.kinds.regress import Regress
from tunewright.serve.limits import Limits

Connect = Callable[..., TestClient]
PATH = "/v1/planted/explain"


@pytest.fixture
def model(planted: Any) -> Any:
    kinds = {"topic": Classify(("other", "theft")), "size": Regress(5.0, 1.0)}
    return planted(kinds, {"topic": {"stolen": (0.0, 3.0), "not": (0.0, -1.0)}, "size": {"stolen": (2.0,)}})


@pytest.fixture
def asked(connect: Connect, model: Any) -> Callable[..., Any]:
    client = connect(model, limits=Limits(explain_characters=2000, explain_pieces=16, text_characters=1000))
    return lambda body, path=PATH: client.post(path, json=body)


def refused(response: Any, status: int = 422) -> tuple[str, str]:
    assert response.status_code == status, response.text
    body = response.json()
    assert list(body) == ["problem", "remedy"]
    return body["problem"], body["remedy"]


def test_one_text_is_explained(asked: Any) -> None:
    response = asked({"input": "my card was stolen, not lost"})
    assert response.status_code == 200
    body = response.json()
    assert body["bundle"] == "sha256:planted"
    (one,) = body["explanations"]
    assert (one["target"], one["label"], one["method"], one["measure"]) == ("topic", "theft", "occlusion", "log_odds")
    weights = {piece["text"]: piece["weight"] for piece in one["pieces"]}
    assert (weights["stolen"], weights["not"], weights["card"]) == pytest.approx((3.0, -1.0, 0.0))
    assert one["pieces"][3] == {
        "column": "text",
        "start": 12,
        "end": 18,
        "text": "stolen",
        "weight": pytest.approx(3.0),
    }
    assert (one["words"], one["asked"], one["r2"]) == (7, 8, None)
    assert "row" not in one


def test_method_label_target_and_pieces(asked: Any) -> None:
    (one,) = asked({"input": {"text": "stolen card"}, "method": "lime", "label": "other"}, "/explain").json()[
        "explanations"
    ]
    assert (one["method"], one["label"], one["asked"]) == ("lime", "other", 4)
    assert one["pieces"][0]["weight"] < -2
    (one,) = asked({"input": "stolen card", "target": "size", "pieces": 1, "label": None}).json()["explanations"]
    assert (one["label"], one["score"], one["words"]) == (None, 7.0, 2)
    assert [piece["text"] for piece in one["pieces"]] == ["stolen card"]


def test_words_stand_together_beyond_sixteen_unless_more_are_asked_for(connect: Connect, model: Any) -> None:
    body = {"input": " ".join(["word"] * 32)}
    found = [connect(model).post(PATH, json=body | more).json()["explanations"][0] for more in ({}, {"pieces": 64})]
    assert [(len(one["pieces"]), one["words"], one["asked"]) for one in found] == [(16, 32, 17), (32, 32, 33)]


@pytest.mark.parametrize(
    ("body", "problem", "remedy"),
    [
        ({}, 'the body has no "input"', 'send {"input": "some text"}'),
        ([], "the body is a list, not an object", 'send {"input": "some text"}'),
        ({"inputs": ["a"]}, "unknown field 'inputs'", "did you mean 'input'?"),
        ({"input": ["a"]}, "the input is a list, not a text", "send a string"),
        ({"input": {"txt": "a"}}, "the input: column 'text' is missing (it has 'txt')", 'send {"text": "…"}'),
        ({"input": ""}, "the text is empty: there is nothing to explain", "give a text with words"),
        ({"input": " \n"}, "the text holds white space only: there is nothing to explain", "give a text with words"),
        ({"input": "a", "method": "shap"}, "there is no way to explain named 'shap'", "use one of: lime, occlusion"),
        ({"input": "a", "method": 3}, '"method" is a number, not a name', "send a string"),
        ({"input": "a", "label": "thft"}, "label 'thft' is unknown to this task", "did you mean 'theft'?"),
        ({"input": "a", "target": "siz"}, "there is no target 'siz'", "did you mean 'size'?"),
        ({"input": "a", "pieces": 17}, '"pieces" is out of its range 1 to 16', "send for example"),
        ({"input": "a", "pieces": True}, '"pieces" is true or false, not a whole number', "send for example"),
        ({"input": "x" * 1001}, "the input: the text is 1001 characters long; the limit is 1000", "split it"),
        ({"input": "word " * 100}, "occlusion of this text reads ", "send a shorter text"),
        ({"input": "word " * 15, "method": "lime"}, "lime of this text reads 500 variants of it", "or take occlusion"),
    ],
)
def test_what_does_not_fit_is_told(asked: Any, body: Any, problem: str, remedy: str) -> None:
    told = refused(asked(body))
    assert told[0].startswith(problem)
    assert remedy in told[1]


def test_a_body_that_is_no_json(connect: Connect, model: Any) -> None:
    assert refused(connect(model).post(PATH, content=b"{"), 400)[1] == 'send {"input": "some text"}'


def test_unknown_bundles_and_such_as_cannot_be_explained(connect: Connect, model: Any, bayes: ModuleType) -> None:
    client = connect(bayes.topics(), model)
    assert refused(client.post("/v1/planed/explain", json={}), 404)[1] == "did you mean 'planted'?"
    assert refused(client.post("/v1/topics/explain", json={}), 404)[0] == "'topics' cannot be explained"


def test_pages_of_other_sites_are_refused(connect: Connect, model: Any) -> None:
    response = connect(model).post(PATH, json={"input": "a"}, headers={"sec-fetch-site": "cross-site"})
    assert "another site" in refused(response, 403)[0]


def test_the_description_is_typed_and_the_answer_fits_it(connect: Connect, model: Any, asked: Any) -> None:
    told = connect(model).get("/openapi.json").json()
    route = told["paths"][PATH]["post"]
    body = route["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["input"]
    assert body["properties"]["method"]["enum"] == ["occlusion", "lime", None]
    assert body["properties"]["label"]["enum"] == ["other", "theft", None]
    each = told["components"]["schemas"]["explanation"]["properties"]
    (one,) = asked({"input": "stolen"}).json()["explanations"]
    assert list(each) == list(one)
    assert set(told["components"]["schemas"]["Piece"]["properties"]) == set(one["pieces"][0])
    assert "422" in route["responses"]


def test_a_real_bundle_over_http(connect: Connect, static: Any) -> None:
    text = "我要退款 please, i want my money back 😀"
    response = connect(static).post("/explain", content=json.dumps({"input": text}))
    (one,) = response.json()["explanations"]
    assert one["label"] == static.predict([text])[0].label
    assert all(text[piece["start"] : piece["end"]] == piece["text"] for piece in one["pieces"])
