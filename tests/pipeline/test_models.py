"""What can be audited: a function, and a service – the real one in a thread, and ones that answer nonsense."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import uvicorn

import tunewright
from tunewright import samples
from tunewright.core.errors import TunewrightError
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.pipeline import audit
from tunewright.pipeline.models import model_of
from tunewright.pipeline.models.answers import Unreadable, reader_of
from tunewright.pipeline.models.service import Service, _requests
from tunewright.serve.answers import Writer
from tunewright.serve.http import application
from tunewright.serve.limits import Limits
from tunewright.serve.listen import bound

pytestmark = pytest.mark.usefixtures("traced_once")

TEST = samples.path("support_test.csv")
ROWS = {"text": ["good", "bad", "well", "so so"], "label": ["yes", "no", "yes", "no"]}
GOOD = {"good": 0.9, "bad": 0.2, "well": 0.6, "so so": 0.7}


def sure(texts: list[str]) -> list[list[float]]:
    return [[1 - GOOD[text], GOOD[text]] for text in texts]


def values(found: Any) -> dict[str, float]:
    return {one.metric: one.value for one in found.findings if not one.slice and one.value is not None}


# ── functions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_function_is_judged_by_its_probabilities() -> None:
    found = audit(sure, ROWS, labels=["no", "yes"], only=["accuracy", "calibration"])
    told = values(found)
    assert told["accuracy"] == 0.75
    # Brier by hand: 2 (1 - p)² of the true label, over rows
    assert told["brier"] == pytest.approx(2 * np.mean([0.1**2, 0.2**2, 0.4**2, 0.7**2]))
    assert found.bundle == ""


def test_the_report_of_a_function_tells_how_it_was_judged_and_not_how_it_was_made(tmp_path: Path) -> None:
    audit(sure, ROWS, labels=["no", "yes"], only=["accuracy"], out=tmp_path / "audit", settings={"seed": 2})
    record = json.loads((tmp_path / "audit" / "report.json").read_text(encoding="utf-8"))
    assert (record["name"], record["seed"], record["targets"][0]["labels"]) == ("sure", 2, ["no", "yes"])
    assert (record["method"], record["backbone"], record["rungs"]) == ({}, {}, [])
    assert not [one["name"] for one in record["settings"] if one["name"].startswith(("fit.", "split."))]
    assert "<h1>sure</h1>" in (tmp_path / "audit" / "report.html").read_text(encoding="utf-8")


def test_labels_alone_are_judged_without_scores() -> None:
    found = audit(lambda texts: ["yes" if GOOD[one] > 0.5 else "no" for one in texts], ROWS, labels=["no", "yes"])
    assert values(found)["accuracy"] == 0.75
    notes = {one.note for one in found.findings if one.audit in ("calibration", "coverage", "mistakes")}
    assert notes == {"not run, because the model gives labels without scores"}


def test_several_columns_are_given_as_columns() -> None:
    rows = {"head": ["a", "b"], "body": ["x", "y"], "topic": ["p", "q"]}
    asked = []

    def answer(columns: dict[str, list[str]]) -> Any:
        asked.append(columns)
        return np.eye(2)

    found = audit(answer, rows, labels=["p", "q"], text=["head", "body"], label="topic", only=["accuracy"])
    assert values(found)["accuracy"] == 1.0
    assert asked == [{"head": ["a", "b"], "body": ["x", "y"]}]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (
            lambda texts: [[0.5, 0.5]],
            r"4 rows were given, and its answer has the shape \(1, 2\) → give one probability",
        ),
        (lambda texts: 3, r"4 rows were given, and its answer has the shape \(\)"),
        (lambda texts: [[0.2, 0.3, 0.5]] * 4, "it gives 3 values per row .*, and there are 2 labels"),
        (lambda texts: [[0.5, 0.5], [2.0, 0.5], [1, 0], [1, 0]], "row 1: 2, 0.5 are no probabilities that sum to 1"),
        (lambda texts: [[0.5, 0.5], [1, 0], [float("nan"), 1], [1, 0]], "row 2: nan, 1 are no probabilities"),
        (lambda texts: ["yes", "no", "yes", "yess"], "row 3: it answers 'yess', which is none .* did you mean 'yes'"),
    ],
)
def test_what_a_function_answers_is_checked(answer: Any, problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        audit(answer, ROWS, labels=["no", "yes"])


def test_a_function_has_to_come_with_labels_and_a_bundle_must_not(tiny_bundle: Path) -> None:
    with pytest.raises(TunewrightError, match=r"a function does not tell its labels → pass labels=\["):
        audit(sure, ROWS)
    with pytest.raises(TunewrightError, match="a bundle tells its labels and input columns itself → leave"):
        audit(tiny_bundle, TEST, labels=["a", "b"])
    with pytest.raises(TunewrightError, match="int is no model → give a bundle's folder, the address"):
        audit(3, ROWS)
    with pytest.raises(TunewrightError, match="nowhere: there is no such folder → name a folder that `tunewright fit`"):
        audit("nowhere", ROWS)


# ── the real service ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def served(predictors: dict[str, Any], limits: Limits | None = None) -> Iterator[str]:
    taken = bound("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(application(predictors, limits), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield f"http://127.0.0.1:{taken.getsockname()[1]}"
    server.should_exit = True
    thread.join(20)
    taken.close()


@pytest.fixture(scope="module")
def service(tiny_bundle: Path) -> Iterator[str]:
    with served({"tiny": tunewright.load(tiny_bundle)}) as address:
        yield address


def test_a_service_gives_the_figures_of_its_bundle(service: str, tiny_bundle: Path) -> None:
    names = ["accuracy", "calibration", "coverage"]
    wanted, found = (audit(one, TEST, only=names) for one in (tiny_bundle, f"{service}/v1/tiny"))
    told = values(wanted)  # and what the bundle was like without its calibration, which a service does not tell
    assert values(found) == pytest.approx({name: told[name] for name in values(found)})
    assert len(values(found)) > 8
    assert (found.bundle, found.data) == (wanted.bundle, wanted.data)


def test_a_service_tells_columns_and_labels_and_no_bundle_is_at_hand(service: str, tiny_bundle: Path) -> None:
    bundle = tunewright.load(tiny_bundle)
    for address in (f"{service}/v1/tiny", f"{service}/v1/tiny/predict/", service):
        model = Service(address)
        assert (model.columns, model.kinds["intent"].labels) == (["text"], bundle.kind.labels)
    assert (model.predictor, model.embed, model.folder) == (None, None, None)
    texts = ["where is my parcel", "", None, "x" * 600_000][:3]
    logits = model.ask({"text": texts}, "intent")
    assert model.kinds["intent"].proba(logits)[0] == pytest.approx(bundle.predict_proba(texts[:1])[0])
    assert np.ptp(logits[1:]) == 0  # an empty text is not decided


def test_what_a_service_refuses_is_told_in_its_words(service: str) -> None:
    with pytest.raises(
        TunewrightError, match=r"/v1/tinny/predict: it refused \(404\): .*'tinny' → did you mean 'tiny'"
    ):
        Service(f"{service}/v1/tinny")
    with pytest.raises(TunewrightError, match=r"it refused \(422\): input 1: character 1 is NUL → remove the NUL"):
        Service(f"{service}/v1/tiny").ask({"text": ["a", "b\0"]}, "intent")


def test_a_service_that_lists_too_few_candidates_is_refused(tiny_bundle: Path) -> None:
    with (
        served({"tiny": tunewright.load(tiny_bundle)}, Limits(top_candidates=5)) as address,
        pytest.raises(TunewrightError, match="it lists 5 candidates at most, so that it may know more .* the bundle's"),
    ):
        Service(address)


@dataclass
class Unsure:
    """A bundle that leaves rows unanswered, unless every row is asked to be answered."""

    own: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def answers(self, inputs: Any, top: int = 0, targets: Any = None, error: float | None = None) -> Any:
        found = self.own.answers(inputs, top, targets)
        if error == 0:
            return found
        open_ = [
            replace(one, label=None, score=None, reason="unsure", candidates=one.candidates[:2])
            for one in found["intent"]
        ]
        return {"intent": open_}


def test_a_service_that_leaves_rows_open_is_asked_for_every_answer(tiny_bundle: Path) -> None:
    bundle = tunewright.load(tiny_bundle)
    with served({"tiny": Unsure(bundle)}) as address:
        model = Service(f"{address}/v1/tiny")
        texts = ["where is my parcel", "pay"]
        found = model.kinds["intent"].proba(model.ask({"text": texts}, "intent"))
    assert found == pytest.approx(bundle.predict_proba(texts))


def test_rows_are_sent_in_pieces() -> None:
    texts = [f"text {at}" for at in range(300)]
    assert [len(one) for one in _requests([texts], ["text"])] == [128, 128, 44]
    assert [len(one) for one in _requests([["x" * 300_000] * 3], ["text"])] == [1, 1, 1]
    assert list(_requests([["a"], ["b"]], ["head", "body"])) == [[{"head": "a", "body": "b"}]]
    assert list(_requests([[]], ["text"])) == []


# ── answers, kind by kind ────────────────────────────────────────────────────────────────────────────────────────────

KINDS = [
    Classify(("a", "b", "c"), temperature=2.0),
    Multilabel(("a", "b", "c"), (0.2, 0.5, 0.7), temperature=0.5),
    Regress(3.0, 2.0),
]


@pytest.mark.parametrize("kind", KINDS, ids=["classify", "multilabel", "regress"])
def test_answers_of_each_kind_give_its_decisions_and_probabilities_again(kind: Any) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (200, kind.size)).astype(np.float32)
    writer = Writer("y", kind.answer)
    answers = json.loads(json.dumps([writer.body(one) for one in kind.decode(logits, kind.size)], default=vars))
    reader = reader_of(answers[0])
    again = reader.logits(answers)
    assert reader.kind.labels == kind.labels
    assert reader.kind.decide(again) == pytest.approx(kind.decide(logits))
    if kind.labels:
        assert reader.kind.proba(again) == pytest.approx(kind.proba(logits))


def test_an_answer_that_was_left_open_shares_what_its_candidates_leave_out() -> None:
    full = {"label": "a", "candidates": [{"label": one, "score": 0.25} for one in "abcd"]}
    reader = reader_of(full)
    some = {
        "label": None,
        "reason": "unsure",
        "candidates": [{"label": "a", "score": 0.6}, {"label": "b", "score": 0.3}],
    }
    assert reader.kind.proba(reader.logits([some])) == pytest.approx(np.array([[0.6, 0.3, 0.05, 0.05]]))
    with pytest.raises(Unreadable, match=r"row 1: of 4 labels it scores 2, and they sum to 0\.9"):
        reader.logits([full, some | {"reason": None}])


def test_the_answer_counts_where_it_is_not_the_label_of_the_best_score() -> None:
    answer = {"label": "b", "candidates": [{"label": "a", "score": 0.6}, {"label": "b", "score": 0.4}]}
    reader = reader_of(answer)
    assert reader.kind.decide(reader.logits([answer, answer | {"label": "a"}])).tolist() == [1, 0]


# ── services that answer nonsense ────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def answering(answer: Callable[[Any], Any]) -> Iterator[str]:
    """A server in a thread: ``answer`` takes a body and gives what is sent: JSON, bytes, or a status and either."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answer(body)
            status, found = found if isinstance(found, tuple) else (200, found)
            sent = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(20)


def scored(**scores: Any) -> dict[str, Any]:
    listed = [{"label": label, "score": score} for label, score in scores.items()]
    return {"target": "label", "label": max(scores), "score": 0.5, "candidates": listed}


def fine(body: Any) -> Any:
    return {"predictions": [scored(no=0.4, yes=0.6) for _ in body["inputs"]], "bundle": "sha256:one"}


def then(wrong: Any) -> Callable[[Any], Any]:
    """Answers the first question as it should, and those on rows wrongly."""
    return lambda body: fine(body) if body["inputs"] == ["text"] else wrong


def test_a_service_of_another_make_is_read_too() -> None:
    with answering(fine) as address:
        found = audit(f"{address}/v1/any", ROWS, only=["accuracy", "calibration"])
    assert values(found)["accuracy"] == 0.5
    assert values(found)["confidence_gap"] == pytest.approx(0.1)
    assert found.bundle == "sha256:one"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda body: b"<html>welcome</html>", "its answer is not JSON → name a service that answers as"),
        (lambda body: (500, b"oops"), "it answered with status 500 → name a service"),
        (lambda body: (503, {"problem": "too busy", "remedy": "wait"}), r"it refused \(503\): too busy → wait"),
        (lambda body: [1, 2], 'it has no list of "predictions"'),
        (lambda body: {"predictions": [3]}, 'it has no list of "predictions"'),
        (lambda body: {"predictions": []}, "its answer names no target"),
        (lambda body: {"predictions": [{"target": "y", "text": "hm"}]}, "the answer for 'y' has neither label, labels"),
        (
            lambda body: {"predictions": [{"target": "y", "label": "a"}]},
            "it lists no candidates, from which its labels",
        ),
        (lambda body: {"predictions": [scored(a=1) | {"candidates": ["a"]}]}, "row 0: a candidate has no label, or no"),
        (then({"predictions": [scored(no=0.4, yes=0.6)], "bundle": "sha256:one"}), "it gave 1 answers to 4 rows"),
        (then({"predictions": [scored(no=0.4, yes=0.9)] * 4, "bundle": "sha256:one"}), "row 0: of 2 .* sum to 1.3"),
        (then({"predictions": [scored(no=0.4)] * 4, "bundle": "sha256:one"}), "row 0: of 2 labels it scores 1, and"),
        (then({"predictions": [scored(no=-0.4, yes=1.4)] * 4, "bundle": "sha256:one"}), "the score -0.4 is no probab"),
        (then({"predictions": [scored(no=None, yes=1)] * 4, "bundle": "sha256:one"}), "row 0: None is no number"),
        (then({"predictions": [scored(maybe=1)] * 4, "bundle": "sha256:one"}), "scores 'maybe', which was no label"),
        (
            then({"predictions": [], "bundle": "sha256:two"}),
            "another bundle answers than before .sha256:two, not sha256",
        ),
    ],
)
def test_nonsense_is_an_error_that_says_what_is_wrong(answer: Any, problem: str) -> None:
    with answering(answer) as address, pytest.raises(TunewrightError, match=problem) as raised:
        audit(f"{address}/v1/any", ROWS, only=["accuracy"])
    assert raised.value.problem.startswith(f"{address}/v1/any/predict: ")
    assert raised.value.exit_code == 2


def test_a_service_that_takes_too_long_is_an_error_after_the_time_that_it_has() -> None:
    def slow(body: Any) -> Any:
        time.sleep(0.0 if body["inputs"] == ["text"] else 1.0)
        return fine(body)

    with (
        answering(slow) as address,
        pytest.raises(TunewrightError, match=r"no answer within 0\.2 seconds → see what .* --timeout"),
    ):
        audit(f"{address}/v1/any", ROWS, timeout=0.2)


def test_nothing_there_and_what_is_no_service_are_told_apart() -> None:
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        TunewrightError, match=rf"127\.0\.0\.1:{port}/\S+: nothing answers there \(Connection refused\)"
    ):
        audit(f"http://127.0.0.1:{port}/v1/any", ROWS)
    with pytest.raises(TunewrightError, match="only http:// and https:// are spoken → name a service"):
        audit("ftp://127.0.0.1/v1/any", ROWS)
    with pytest.raises(TunewrightError, match="what answers there does not speak HTTP"):
        audit("http://127.0.0.1:port/v1/any", ROWS)
    for sent, problem in ((b"hello\r\n\r\n", "does not speak HTTP"), (b"", "the connection broke off")):
        with saying(sent) as address, pytest.raises(TunewrightError, match=problem):
            audit(f"{address}/v1/any", ROWS)


@contextmanager
def saying(sent: bytes) -> Iterator[str]:
    """A socket that says this to whoever comes, and hangs up."""
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        thread = threading.Thread(target=_say, args=(taken, sent))
        thread.start()
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        thread.join(20)


def _say(taken: socket.socket, sent: bytes) -> None:
    came, _ = taken.accept()
    with came:
        came.recv(65_536)
        came.sendall(sent)


def test_a_failure_in_the_midst_of_an_audit_is_that_audits(tiny_bundle: Path) -> None:
    """Rows are answered, and the texts that an audit makes of them are not."""
    texts = set(pl.read_csv(TEST)["text"])
    bundle = tunewright.load(tiny_bundle)

    def failing(asked: list[str]) -> Any:
        if not set(asked) <= texts:
            raise RuntimeError("no more today")
        return bundle.predict_proba(asked)

    named = ["accuracy", "robustness"]
    found = audit(failing, TEST, labels=bundle.kind.labels, label="intent", only=named)
    assert values(found)["accuracy"] > 0
    failed = {one.audit for one in found.findings if one.note.startswith("failed: RuntimeError: no more today")}
    assert failed == {"robustness"}


def test_columns_and_label_of_a_task_file_count_for_a_service(tmp_path: Path) -> None:
    file = tmp_path / "task.toml"
    file.write_text('[inputs]\nmessage = "text"\n[[targets]]\ncolumn = "topic"\n', encoding="utf-8")
    rows = {"message": ["one", "two"], "topic": ["no", "yes"]}
    with answering(fine) as address:
        assert values(audit(address, rows, task=file, only=["accuracy"]))["accuracy"] == 0.5
        again = audit(address, {"words": ["one"], "is": ["yes"]}, text="words", label="is", only=["accuracy"])
    assert values(again)["accuracy"] == 1.0


def test_a_model_is_made_of_a_loaded_bundle_too(tiny_bundle: Path) -> None:
    bundle = tunewright.load(tiny_bundle)
    model = model_of(bundle)
    assert model.folder == tiny_bundle
    assert model.about["digest"] == bundle.manifest.digest
    assert model.ask({"text": ["a b"]}, "intent") == pytest.approx(bundle.logits(["a b"])["intent"])
    other = model_of(replace_embed(bundle))
    assert other.embed is None


def replace_embed(bundle: Any) -> Any:
    parts = {name: one for name, one in bundle.manifest.parts.items() if name != "embed"}
    bundle.manifest = replace(bundle.manifest, parts=parts)
    return bundle


def test_a_bundle_is_asked_once_for_logits_and_vectors(tiny_bundle: Path) -> None:
    predictor = tunewright.load(tiny_bundle)
    columns = {name: ["where is my order?", "please cancel it"] for name in predictor.manifest.inputs}
    wanted, vectors = predictor.logits(columns), predictor.embed(columns)
    passes: list[int] = []
    run = predictor.run
    predictor.run = lambda *given, **named: passes.append(1) or run(*given, **named)  # type: ignore[method-assign,func-returns-value]
    model = model_of(predictor)
    found = model.answers(columns)
    assert model.embed is not None
    np.testing.assert_array_equal(model.embed(columns), vectors)
    assert len(passes) == 1
    for name, logits in wanted.items():
        np.testing.assert_array_equal(found[name], logits)
    np.testing.assert_array_equal(model.embed(dict(columns)), vectors)
    assert len(passes) == 2
