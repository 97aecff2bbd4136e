"""Lexical: its solvers against scikit-learn's own, what is learnt from, and the line where no model is at hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC
from starlette.testclient import TestClient

import tunewright
from tunewright import samples
from tunewright.core.errors import TunewrightError
from tunewright.kinds.classify import Classify
from tunewright.kinds.regress import Regress
from tunewright.methods import lexical
from tunewright.modalities.ngrams import Ngrams
from tunewright.pipeline import use
from tunewright.pipeline.judge import evaluate
from tunewright.serve.http import application
from tunewright.train.examples import Part

Make = Callable[..., Any]
TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")


def rows(classes: int, count: int = 120) -> tuple[Any, Any]:
    """Sparse rows of width 30 around one direction per class."""
    draws = np.random.default_rng(0)
    truth = np.arange(count) % classes
    dense = draws.normal(size=(classes, 30))[truth] + 0.8 * draws.normal(size=(count, 30))
    return csr_array(np.where(np.abs(dense) > 1, dense, 0)), truth


@pytest.mark.parametrize(("classes", "ways"), [(2, "ovr"), (5, "ovr"), (40, "crammer_singer")])
def test_the_solver_decides_as_scikit_learn_does(classes: int, ways: str) -> None:
    features, truth = rows(classes, 200)
    weight, bias = lexical._margins(features, truth, classes, 0.3)
    told = {"dual": True, "tol": lexical.TOLERANCE, "max_iter": lexical.ITERATIONS, "random_state": 0}
    theirs = LinearSVC(C=0.3, multi_class=ways, **told).fit(features, truth)
    logits, margins = features @ weight.T + bias, theirs.decision_function(features)
    assert weight.shape == (classes, 30)
    np.testing.assert_array_equal(logits.argmax(1), theirs.predict(features))
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0] if classes == 2 else logits, margins, atol=1e-9)


@pytest.mark.parametrize("present", [[0, 2], [1], [0, 1, 3]])
def test_classes_that_the_rows_lack_are_never_decided(present: list[int]) -> None:
    features, truth = rows(4)
    some = np.isin(truth, present)
    weight, bias = lexical._margins(features[some], truth[some], 4, 1.0)
    assert set((features @ weight.T + bias).argmax(1)) == set(present)


def test_multilabel_is_one_binary_model_per_label() -> None:
    features, truth = rows(3)
    labels = np.stack([truth == 0, truth != 1, np.ones(len(truth))], 1).astype(np.uint8)
    weight, bias = lexical._margins_per_label(features, labels, 3, 1.0)
    logits = features @ weight.T + bias
    for at in (0, 1):
        theirs = LinearSVC(dual=True, tol=lexical.TOLERANCE, random_state=0).fit(features, labels[:, at])
        np.testing.assert_allclose(logits[:, at], theirs.decision_function(features), atol=1e-9)
    assert (logits[:, 2] > 5).all(), "a label that every row has"


def test_ridge_predicts_as_on_a_dense_matrix() -> None:
    features, truth = rows(4)
    numbers = truth * 50.0 + 1000
    kind = Regress(float(numbers.mean()), float(numbers.std()))
    weight, bias = lexical.SOLVERS["ridge"](features, numbers, 1, 3.0)
    theirs = (
        Ridge(alpha=1 / 3.0).fit(features.toarray(), (numbers - kind.mean) / kind.scale).predict(features.toarray())
    )
    np.testing.assert_allclose(kind.decide(features @ weight.T + bias), theirs * kind.scale + kind.mean, rtol=1e-3)


def no_backbone() -> Any:
    pytest.fail("a backbone was asked for")


def test_it_learns_and_asks_for_no_backbone(make_context: Make) -> None:
    context = replace(make_context(intents=8), chosen=no_backbone)
    fitted = lexical.fit(context)
    truth = context.kind.encode(context.parts["validation"].truth)
    assert context.kind.row_score(fitted.validation_logits, truth).mean() > 0.6
    assert fitted.facts["cross_validation"][f"{fitted.facts['strength']:g}"] > 0.5
    assert fitted.facts["rows"] == len(context.parts["train"].truth)
    assert fitted.backbone is not None
    assert fitted.facts["ngrams"] == len(fitted.backbone.modality.vocabulary)  # type: ignore[attr-defined]


def test_fitting_again_counts_and_learns_from_both_parts(make_context: Make) -> None:
    context = make_context()
    fitted = lexical.fit(context)
    assert fitted.refit is not None
    again = fitted.refit()
    both = [*context.parts["train"].inputs["text"], *context.parts["validation"].inputs["text"]]
    assert again.found is not None
    assert fitted.found is not None
    assert again.found.digest == Ngrams.learn([both]).digest != fitted.found.digest
    assert again.facts["rows"] == len(both) == fitted.facts["rows"] + len(context.parts["validation"].truth)
    assert again.facts["strength"] == fitted.facts["strength"]


def test_of_too_many_rows_some_are_drawn_and_that_is_said(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context()
    monkeypatch.setattr(lexical, "MOST_MARGINS", 200)
    fitted = lexical.fit(context)
    assert fitted.facts["rows"] == 50
    assert any(one.get("say") == "lexical: learning from 50 rows drawn from 80" for one in context.run.told)
    monkeypatch.setattr(lexical, "MOST_MARGINS", 10**9)
    monkeypatch.setattr(lexical, "MOST_FEATURES", 1_500)
    assert 5 < lexical.fit(context).facts["rows"] < 80
    _, examples = lexical._counted(context, context.parts["train"])
    truth = context.kind.encode(context.parts["train"].truth).tolist()
    texts = list(context.parts["train"].inputs["text"])
    told = [texts.index(one) for one in texts]
    assert len(set(told)) == len(texts)
    drawn = np.sort(np.random.default_rng(0).permutation(80)[: len(examples)])
    assert examples.truth.tolist() == [truth[at] for at in drawn]


def test_many_classes_make_the_vocabulary_smaller(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexical, "MOST_NUMBERS", 400)
    fitted = lexical.fit(make_context())
    assert fitted.facts["ngrams"] == 100
    assert fitted.encoder.state_dict()["table"].shape == (100, 4)


@pytest.mark.parametrize("classes", [2, 60])
def test_one_row_of_each_class(classes: int, make_context: Make) -> None:
    context = make_context()
    texts = [f"text number {at} of row{at}" for at in range(classes)]
    part = Part({"text": texts}, [f"class {at}" for at in range(classes)])
    kind = Classify(tuple(sorted(part.truth)))
    context = replace(context, kind=kind, parts=dict.fromkeys(("train", "validation", "held_out"), part))
    assert (kind.decide(lexical.fit(context).validation_logits) == kind.encode(part.truth)).all()


def test_rows_without_a_single_ngram_still_fit(make_context: Make) -> None:
    context = make_context()
    part = Part({"text": ["", " ", "", ""]}, ["a", "b", "a", "b"])
    context = replace(
        context, kind=Classify(("a", "b")), parts=dict.fromkeys(("train", "validation", "held_out"), part)
    )
    fitted = lexical.fit(context)
    assert fitted.facts["ngrams"] == 0
    assert np.isfinite(fitted.validation_logits).all()


def test_several_columns_are_learnt_from(make_context: Make) -> None:
    """What tells the classes apart stands in the second column alone."""
    context = make_context("classify", {"inputs.more": "text"})
    words = ["red wine", "green tea"] * 20
    part = Part({"text": ["which is it?"] * 40, "more": words}, words)
    context = replace(context, kind=Classify(tuple(sorted(set(words)))), parts=dict.fromkeys(context.parts, part))
    assert (context.kind.decide(lexical.fit(context).validation_logits) == context.kind.encode(words)).all()


def test_a_kind_without_closed_form_is_refused(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context()
    monkeypatch.setattr(type(context.kind), "closed_form", None)
    with pytest.raises(TunewrightError, match="method 'lexical' does not fit kind 'classify' → use --method full"):
        lexical.fit(context)


def test_inputs_that_are_no_text_are_refused(make_context: Make) -> None:
    with pytest.raises(TunewrightError, match="method 'lexical' reads text, not strip → use --method full"):
        lexical.fit(make_context("classify", {"inputs.sound": "strip"}))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What ``fit`` makes of the sample rows where no pretrained model is at hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEWRIGHT_MODELS", str(tmp_path_factory.mktemp("none")))
        out = tmp_path_factory.mktemp("lexical") / "support"
        settings = {"fit.method": "lexical", "fit.threads": 1}
        tunewright.fit(TRAIN, test=TEST, text="text", label="intent", out=out, settings=settings)
        yield out


def test_a_bundle_needs_no_pretrained_model(bundle: Path) -> None:
    predictor = tunewright.load(bundle, threads=1)
    accuracy = predictor.manifest.metrics["accuracy"]
    assert accuracy["n"] == 80
    assert accuracy["value"] >= 0.65
    assert predictor.manifest.inputs == {"text": "ngrams"}
    assert predictor.manifest.backbone["digest"] == predictor.modality.digest  # type: ignore[attr-defined]
    told = use.show(bundle)
    assert (told["method"], told["backbone"], told["backbone_facts"]["source"]) == ("lexical", "n-grams", "rows")
    assert predictor.manifest.run["export"]["largest_difference"] < 1e-5


def test_rows_of_any_length_are_answered_as_they_would_be_alone(bundle: Path) -> None:
    predictor = tunewright.load(bundle, threads=1)
    texts = [*pl.read_csv(TEST)["text"].to_list()[:9], "", "parcel " * 5000, "ﬁrst Ｏrder 退货 😀", "\0"]
    together = predictor.predict_proba(texts)
    np.testing.assert_allclose(together, np.concatenate([predictor.predict_proba([one]) for one in texts]), atol=1e-6)
    answers = predictor.predict(texts, top=2)
    assert [one.reason for one in answers[8:11]] == [None, "empty", None]
    vectors = predictor.embed(texts)
    assert vectors.shape == (len(texts), 8)
    np.testing.assert_allclose(np.linalg.norm(vectors[:9], axis=1), 1, atol=1e-5)
    assert not predictor.embed(["", " "]).any()
    assert predictor.predict([]) == []


def test_the_service_reads_strings(bundle: Path) -> None:
    predictor = tunewright.load(bundle, threads=1)
    with TestClient(application({"support": predictor})) as client:
        body = client.post("/predict", json={"inputs": ["where is my parcel?", {"text": "i want a refund"}, ""]}).json()
        wanted = predictor.predict(["where is my parcel?", "i want a refund", ""])
        assert [one.get("label") for one in body["predictions"]] == [one.label for one in wanted]
        refused = client.post("/predict", json={"inputs": [3]})
        assert refused.status_code == 422
        assert refused.json()["problem"] == "input 0 is a number, not a text"
        assert client.get("/v1/bundles").json()["bundles"][0]["inputs"] == {"text": "text"}
        schema = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
        assert schema["content"]["application/json"]["example"]["inputs"] == ["some text"]


def test_files_are_answered_and_judged(bundle: Path) -> None:
    (frame,) = use.predict(bundle, {"text": ["where is my parcel?", None]})
    assert frame["prediction"].to_list()[1] is None
    found = {one.metric: one.value for one in evaluate(bundle, TEST) if not one.slice}
    assert found["accuracy"] == tunewright.load(bundle, threads=1).manifest.metrics["accuracy"]["value"]


def test_it_goes_to_onnx_and_not_to_hugging_face(bundle: Path, tmp_path: Path) -> None:
    folder = use.export(bundle, "onnx", tmp_path / "onnx")
    assert json.loads((folder / "about.json").read_text())["inputs"] == {"text": "ngrams"}
    assert (folder / "ngrams" / "vocabulary.npy").is_file()
    with pytest.raises(TunewrightError, match="this bundle has no Hugging Face form → use --to onnx"):
        use.export(bundle, "hf", tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_a_damaged_vocabulary_is_found(bundle: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(bundle, tmp_path / "copy")
    path = copy / "modality" / "ngrams" / "vocabulary.npy"
    path.write_bytes(path.read_bytes()[:-8] + b"damaged!")
    with pytest.raises(TunewrightError, match=r"vocabulary\.npy: the file is damaged"):
        tunewright.load(copy)
    path.unlink()
    with pytest.raises(TunewrightError, match=r"vocabulary\.npy: the file is missing"):
        tunewright.load(copy)


def test_a_number_ships_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_MODELS", str(tmp_path / "none"))
    frame = pl.read_csv(TRAIN).with_columns(pl.col("text").str.len_chars().alias("y"))
    settings = {"fit.method": "lexical", "fit.threads": 1}
    out = tmp_path / "out"
    predictor = tunewright.fit(frame, text="text", label="y", kind="regress", out=out, settings=settings)
    short, long = predictor.predict(["thanks", "I moved house last week, please ship the order that I placed there."])
    assert short.value < long.value


def test_chinese_is_learnt_by_characters() -> None:
    train, test = (pl.read_csv(samples.path(f"support_zh_{part}.csv")) for part in ("train", "test"))
    modality = Ngrams.learn([train["text"].to_list()])
    assert modality.words.sum() > 100, "single characters and pairs of them"
    kind = Classify(tuple(sorted(set(train["intent"]))))
    features, truth = modality.windows([train["text"].to_list()]), kind.encode(train["intent"].to_list())
    weight, bias = lexical._margins(lexical._matrix(modality, features), truth, kind.size, 1.0)
    logits = lexical._matrix(modality, modality.windows([test["text"].to_list()])) @ weight.T + bias
    assert (kind.decide(logits) == kind.encode(test["intent"].to_list())).mean() >= 0.5
