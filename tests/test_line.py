"""The whole line on a real model: sample rows → fit → show → evaluate → predict → serve; and a real data set."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tunewright
from tunewright import samples

pytestmark = pytest.mark.slow

TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")
CLEAR = {
    "Where is my package? It should have arrived last week.": "order_status",
    "Please cancel my order, I do not want it any more.": "cancel_order",
    "I want to send these shoes back, how do I return them?": "return_item",
    "My card was declined when I tried to pay.": "payment_failed",
    "Can I talk to a real person please?": "talk_to_human",
    "I returned it three weeks ago and still have no refund.": "refund_missing",
    "I moved house, please ship the order to my new address.": "change_address",
}
HEAVY = ("torch", "transformers", "sklearn", "scipy", "onnx", "onnxscript", "safetensors", "huggingface_hub")


@pytest.fixture(scope="module")
def intents(
    process: Callable[..., Any], models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    """The bundle that the command line makes of the sample rows with a probe on the real backbone, and what it said."""
    assert (models_folder / "minilm-en").is_dir()
    out = tmp_path_factory.mktemp("line") / "intents"
    words = ("--text", "text", "--label", "intent", "--method", "probe", "--out", out)
    return out, process("fit", TRAIN, "--test", TEST, *words, "--set", 'gates.accuracy=">= 0.8"')


def test_fit_releases_a_bundle_and_says_how_good_it_is(intents: tuple[Path, Any]) -> None:
    out, ran = intents
    assert ran.code == 0, ran.err
    assert ran.out == ""
    said = re.search(r"^accuracy (0\.\d+) \(95 % interval (0\.\d+) – [01]\.\d+, n = 80\)$", ran.err, re.MULTILINE)
    assert said is not None, ran.err
    assert float(said[1]) >= 0.8
    assert float(said[2]) >= 0.7
    assert "backbone minilm-en (bert, from the cache; its digest is the known one); pooling mean" in ran.err
    names = {path.name for path in out.iterdir()}
    assert {"bundle.json", "report.html", "report.json", "card.md"} <= names


def test_show_and_evaluate_agree_with_fit(process: Callable[..., Any], intents: tuple[Path, Any]) -> None:
    out, _ = intents
    told = json.loads(process("show", out, "--json").out)
    assert told["backbone"] == "minilm-en"
    assert told["method"] == "probe"
    assert len(told["targets"][0]["labels"]) == 8
    found = json.loads(process("evaluate", out, TEST, "--json").out)["findings"]
    accuracy = next(one for one in found if one["metric"] == "accuracy" and not one["slice"])
    assert {key: accuracy[key] for key in ("value", "low", "high", "n")} == told["metrics"]["accuracy"]


def test_predict_is_right_where_it_is_clear(process: Callable[..., Any], intents: tuple[Path, Any]) -> None:
    out, _ = intents
    sent = io.StringIO()
    writer = csv.writer(sent)
    writer.writerow(["text"])
    writer.writerows([text] for text in CLEAR)
    ran = process("predict", out, "-", "--top", 2, stdin=sent.getvalue())
    assert (ran.code, ran.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert {row["text"]: row["prediction"] for row in rows} == CLEAR
    for row in rows:
        first, second = json.loads(row["candidates"])
        assert first["score"] > second["score"]


def test_answers_do_not_depend_on_their_neighbours(intents: tuple[Path, Any]) -> None:
    predictor = tunewright.load(intents[0])
    texts = pl.read_csv(TEST)["text"].to_list()
    together = predictor.predict_proba([*texts, "word " * 3000])
    alone = np.concatenate([predictor.predict_proba([text]) for text in texts[:10]])
    np.testing.assert_allclose(together[:10], alone, atol=1e-4)


@contextmanager
def served(bundle: Path) -> Iterator[str]:
    """The service in a process of its own, at a free port; ended by SIGTERM, as an orchestrator does."""
    command = [sys.executable, "-c", "from tunewright.cli import main; main()", "serve", str(bundle), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                break
        else:
            pytest.fail(f"the service did not start: {lines}")
        try:
            yield found[0]
        finally:
            running.send_signal(signal.SIGTERM)
            running.stdout.read()
            assert running.wait(30) == 0


def asked(address: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content, status, kind = answer.read(), answer.status, answer.headers["content-type"]
    except urllib.error.HTTPError as error:
        content, status, kind = error.read(), error.code, error.headers["content-type"]
    return status, json.loads(content) if kind.startswith("application/json") else content.decode()


def test_serve_answers_as_predict_does(intents: tuple[Path, Any]) -> None:
    out, _ = intents
    predictor = tunewright.load(out)
    with served(out) as address:
        assert asked(f"{address}/healthz")[0] == 200
        assert asked(f"{address}/readyz")[0] == 200
        inputs: list[Any] = [*CLEAR, {"text": "Where is my parcel?", "id": 7}]
        for path in ("/v1/intents/predict", "/predict"):
            status, body = asked(address + path, {"inputs": inputs, "top": 2})
            assert status == 200
            assert body["bundle"] == predictor.manifest.digest
            answers = body["predictions"]
            assert [one["label"] for one in answers] == [*CLEAR.values(), "order_status"]
            assert {one["target"] for one in answers} == {"intent"}
            assert len({one["id"] for one in answers}) == len(inputs)
            wanted = [one.score for one in predictor.predict([*CLEAR, "Where is my parcel?"])]
            assert [one["score"] for one in answers] == pytest.approx(wanted, abs=1e-4)
        status, body = asked(f"{address}/predict", {"inputs": "text"})
        assert (status, set(body)) == (422, {"problem", "remedy"})
        assert asked(f"{address}/v1/other/predict", {"inputs": ["a"]})[0] == 404
        assert "intents" in asked(f"{address}/metrics")[1]
        assert "<html" in asked(f"{address}/")[1].lower()
        assert "/v1/intents/predict" in asked(f"{address}/openapi.json")[1]["paths"]


PREDICT = "assert tunewright.load(bundle).predict(['where is it?'])[0].label"
COMMAND = """
from tunewright.cli import main
sys.argv = ["tunewright", "predict", bundle, rows, "--out", out]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended
"""
SERVE = """
from pathlib import Path
from starlette.testclient import TestClient
from tunewright.serve import folders, http
with TestClient(http.application(folders.Folders([Path(bundle)]).registry)) as client:
    assert client.post("/predict", json={"inputs": ["where is it?"]}).json()["predictions"][0]["label"]
"""


@pytest.mark.parametrize("doing", [PREDICT, COMMAND, SERVE], ids=["predict", "command", "serve"])
def test_what_answers_imports_no_training_library(intents: tuple[Path, Any], tmp_path: Path, doing: str) -> None:
    places = {"bundle": str(intents[0]), "rows": str(TEST), "out": str(tmp_path / "answers.csv")}
    code = (
        f"import sys, tunewright\nglobals().update({places})\n{doing}\nprint(sorted(set({HEAVY}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stdout + done.stderr


def test_banking77_is_learnt_from_every_tenth_row(
    cli: Callable[..., Any], models_folder: Path, data_folder: Path, tmp_path: Path
) -> None:
    folder = data_folder / "banking77"
    pl.read_csv(folder / "train.csv").gather_every(10).write_csv(tmp_path / "train.csv")
    pl.read_csv(folder / "test.csv").gather_every(8).write_csv(tmp_path / "test.csv")
    out = tmp_path / "banking"
    words = ("--text", "text", "--label", "category", "--method", "probe", "--out", out, "--quiet")
    ran = cli("fit", tmp_path / "train.csv", "--test", tmp_path / "test.csv", *words)
    assert (ran.code, ran.err) == (0, "")
    told = json.loads(cli("show", out, "--json").out)
    assert len(told["targets"][0]["labels"]) == 77
    accuracy = told["metrics"]["accuracy"]
    assert accuracy["n"] == 385
    assert 0.78 <= accuracy["value"] <= 0.95
    answers = tunewright.load(out).predict(["How do I locate my card?", "My card was stolen!"])
    assert [one.label for one in answers] == ["card_arrival", "lost_or_stolen_card"]
