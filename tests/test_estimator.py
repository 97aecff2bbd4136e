"""``TextClassifier``: the forms of X and y, what it holds, pickles, searches, and scikit-learn's own checks."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import validate_data

import tunewright
from tunewright import TextClassifier, estimator
from tunewright.core.errors import MissingExtra, TunewrightError

Make = Callable[..., TextClassifier]


pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture(scope="module")
def make(tiny_backbone: Path, traced_once: None) -> Make:
    def build(settings: dict[str, Any] | None = None, **named: Any) -> TextClassifier:
        own = {"backbone": str(tiny_backbone), "method": "probe"} | named
        return TextClassifier(**own, settings={"fit.threads": 1} | (settings or {}))

    return build


@pytest.fixture(scope="module")
def rows(sample_rows: dict[str, list[dict[str, str]]]) -> tuple[list[str], list[str]]:
    """Three intents, 90 rows."""
    wanted = sorted({row["intent"] for row in sample_rows["support_train.csv"]})[:3]
    chosen = [row for row in sample_rows["support_train.csv"] if row["intent"] in wanted]
    return [row["text"] for row in chosen], [row["intent"] for row in chosen]


@pytest.fixture(scope="module")
def fitted(make: Make, rows: tuple[list[str], list[str]]) -> TextClassifier:
    return make().fit(*rows)


class Written(TextClassifier):
    """Takes a matrix, each row written as a text: through it scikit-learn's checks, which draw matrices, reach us."""

    def fit(self, X: Any, y: Any) -> Written:  # noqa: N803
        features = validate_data(self, X).shape[1]
        super().fit(written(X), y)
        self.n_features_in_ = features
        return self

    def _logits(self, X: Any) -> Any:  # noqa: N803
        return super()._logits(written(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = True, False, False
        return tags


def written(X: Any) -> list[str]:  # noqa: N803
    """Row (2.41, -1.13) → "am d bj j": a word for column and nearest whole number, and one for the tenths."""
    tenths = (np.asarray(X, float) * 10).round().astype(int)
    whole = (np.asarray(X, float).round().astype(int) + 10) % 26
    words = [[f"{chr(97 + at % 26)}{chr(97 + value)} {chr(97 + tenth % 10)}" for at, (value, tenth) in enumerate(row)]
             for row in np.stack([whole, tenths], -1).tolist()]  # fmt: skip
    return [" ".join(row) for row in words]


def checks(estimator: Any) -> list[Any]:
    return [check for _, check in estimator_checks.estimator_checks_generator(estimator)]


NAMES = [getattr(check, "func", check).__name__ for check in checks(Written())]
FP32 = {"check_methods_subset_invariance": "the graphs compute in fp32: a batch of another shape may differ by 1e-6"}


@pytest.mark.parametrize("at", range(len(NAMES)), ids=[f"{name}-{at}" for at, name in enumerate(NAMES)])
def test_scikit_learns_checks(at: int, make: Make, request: pytest.FixtureRequest) -> None:
    if NAMES[at] in FP32:
        request.applymarker(pytest.mark.xfail(reason=FP32[NAMES[at]], raises=AssertionError, strict=False))
    model = Written(**make().get_params())
    checks(model)[at](model)


def test_it_says_that_it_reads_texts(make: Make) -> None:
    """As tagged, only what needs no data can be checked by scikit-learn: the checks above bring data along."""
    tags = make().__sklearn_tags__()
    assert (tags.input_tags.string, tags.input_tags.two_d_array, tags.target_tags.required) == (True, False, True)
    with pytest.warns(SkipTestWarning, match="requires input"):
        ran = estimator_checks.check_estimator(make())
    assert [one["status"] for one in ran] == ["passed"]


@pytest.mark.parametrize(
    "form",
    [
        list, tuple, np.array, lambda texts: np.array(texts, object), pd.Series, pl.Series,
        lambda texts: np.array(texts)[:, None], lambda texts: [[text] for text in texts],
        lambda texts: pd.DataFrame({"any name": texts}, index=range(7, 7 + len(texts))),
        lambda texts: pl.DataFrame({"any name": texts}),
    ],
)  # fmt: skip
def test_texts_may_come_in_many_forms(form: Any, fitted: TextClassifier, rows: tuple[list[str], list[str]]) -> None:
    expected = fitted.predict_proba(rows[0][:5])
    np.testing.assert_array_equal(fitted.predict_proba(form(rows[0][:5])), expected)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ("one text", TypeError, "X is a single text; give a list of texts"),
        ([], ValueError, "X has 0 rows"),
        (["a", 3], TypeError, "X, row 1: 3 is a int, not a text"),
        (["a", None], TypeError, "X, row 1: None is a NoneType"),
        (np.array(["a", np.nan], object), TypeError, "X, row 1: nan is a float"),
        (np.array([["a", "b"]]), ValueError, r"X has the shape \(1, 2\); expected n texts"),
        ({"text": ["a"]}, TypeError, "X is a dict"),
    ],
)
def test_other_forms_are_refused(X: Any, error: Any, message: str, fitted: TextClassifier) -> None:  # noqa: N803
    with pytest.raises(error, match=message):
        fitted.predict(X)
    with pytest.raises(error, match=message):
        clone(fitted).fit(X, ["a", "b"])


@pytest.mark.parametrize("y", [[3, 1, 2], [True, False, True], ["b", "a", "nan"], [1.0, 2.0, -1.0], ["a", " ", "b"]])
def test_labels_keep_their_type(y: list[Any], make: Make, rows: tuple[list[str], list[str]]) -> None:
    texts, intents = rows
    which = dict(zip(sorted(set(intents)), y, strict=True))
    model = make().fit(texts, [which[intent] for intent in intents])
    assert model.classes_.tolist() == sorted(set(y))
    assert model.predict(texts).dtype == np.asarray(y).dtype
    assert model.score(texts, [which[intent] for intent in intents]) > 0.5


def test_probabilities_stand_in_the_order_of_the_classes(make: Make, rows: tuple[list[str], list[str]]) -> None:
    """2 comes before 10 among numbers and after it among texts."""
    texts, intents = rows
    which = dict(zip(sorted(set(intents)), [10, 2, 1], strict=True))
    model = make().fit(texts, [which[intent] for intent in intents])
    proba = model.predict_proba(texts)
    assert model.classes_.tolist() == [1, 2, 10]
    assert model.predictor_.kind.labels == ("1", "2", "10")
    np.testing.assert_allclose(proba.sum(1), 1)
    np.testing.assert_array_equal(model.classes_[proba.argmax(1)], model.predict(texts))


@pytest.mark.parametrize(
    ("y", "message"),
    [(["a"] * 90, "y has one class: .*'a'"), (None, "requires y to be passed"), (["a", "b"], "inconsistent numbers"),
     (np.linspace(0, 1, 90), "Unknown label type: continuous"), ([["a", "b"]] * 90, "y has 2 columns; .* learns one")],
)  # fmt: skip
def test_labels_that_cannot_be_learnt_are_refused(
    y: Any, message: str, make: Make, rows: tuple[list[str], list[str]]
) -> None:
    with pytest.raises(ValueError, match=message):
        make().fit(rows[0], y)


@pytest.mark.parametrize("form", [pl.Series, pd.Series, lambda labels: pd.Series(labels, dtype="category"), tuple])
def test_labels_may_come_in_many_forms(form: Any, fitted: TextClassifier, rows: tuple[list[str], list[str]]) -> None:
    again = clone(fitted).fit(rows[0], form(rows[1]))
    assert again.predictor_.manifest.digest == fitted.predictor_.manifest.digest


def test_texts_that_are_all_equal_leave_nothing_to_hold_out(make: Make) -> None:
    with pytest.raises(TunewrightError, match="none of its 20 rows can be held out .* → add rows with other inputs"):
        make().fit(["the same"] * 20, ["a", "b"] * 10)


def test_a_fit_that_fails_leaves_what_was_fitted(make: Make, rows: tuple[list[str], list[str]]) -> None:
    model = make().fit(*rows)
    expected = model.predict_proba(rows[0])
    with pytest.raises(TunewrightError):
        model.set_params(backbone="no-such").fit(rows[0], [f"other {label}" for label in rows[1]])
    np.testing.assert_array_equal(model.predict_proba(rows[0]), expected)
    assert model.classes_.tolist() == sorted(set(rows[1]))


def test_rows_without_text_are_no_obstacle(make: Make, rows: tuple[list[str], list[str]]) -> None:
    texts, intents = rows
    model = make().fit([*texts, "", " "], [*intents, intents[0], intents[0]])
    assert model.predictor_.manifest.data["train_rows"] + model.predictor_.manifest.data["validation_rows"] == 90
    assert model.predict(["", texts[0]])[0] in model.classes_


def test_nothing_is_held_out_for_a_test_and_the_validation_figures_are_of_rows_not_learnt_from(
    fitted: TextClassifier, rows: tuple[list[str], list[str]]
) -> None:
    manifest = fitted.predictor_.manifest
    assert manifest.data["judged_on"] == "validation"
    assert manifest.data["train_rows"] + manifest.data["validation_rows"] == len(rows[0])
    (kept,) = (rung for rung in manifest.run["rungs"] if rung["kept"])
    assert manifest.metrics["accuracy"]["value"] == pytest.approx(kept["score"], abs=1e-6)


def test_settings_reach_the_task_and_their_errors_the_caller(make: Make, rows: tuple[list[str], list[str]]) -> None:
    model = make(settings={"split.validation": 0.3}, seed=4).fit(*rows)
    assert model.predictor_.manifest.data["validation_rows"] == 27
    assert model.predictor_.manifest.task["seed"] == 4
    with pytest.raises(TunewrightError, match="unknown key 'fit.epoch' → did you mean 'epochs'"):
        make(settings={"fit.epoch": 1}).fit(*rows)
    with pytest.raises(TunewrightError, match="backbone 'bart': no such folder"):
        make(backbone="bart").fit(*rows)


def test_a_model_that_is_not_fitted_says_so(make: Make) -> None:
    for ask in (make().predict, make().predict_proba, make().save):
        with pytest.raises(NotFittedError):
            ask(["a"])


@pytest.mark.parametrize("copied", [
    lambda model: pickle.loads(pickle.dumps(model)),
    lambda model: (joblib.dump(model, file := BytesIO()), file.seek(0), joblib.load(file))[-1],
    copy.deepcopy,
])  # fmt: skip
def test_a_copy_answers_alike_and_stands_by_itself(copied: Any, make: Make, rows: tuple[list[str], list[str]]) -> None:
    model = make().fit(*rows)
    expected, folder = model.predict_proba(rows[0]), model._folder.path
    other = copied(model)
    del model
    gc.collect()
    assert not folder.exists()
    np.testing.assert_array_equal(other.predict_proba(rows[0]), expected)
    assert other.get_params()["method"] == "probe"


def test_another_process_loads_it_without_torch(
    fitted: TextClassifier, rows: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    joblib.dump((fitted, rows[0][:9]), tmp_path / "model.joblib")
    code = (
        "import joblib, sys; model, texts = joblib.load(sys.argv[1]);"
        "print(*model.predict(texts)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "model.joblib"], capture_output=True, text=True)
    assert done.stdout.split() == [*fitted.predict(rows[0][:9]), "False"], done.stderr


def test_the_end_of_a_forked_process_leaves_the_files(fitted: TextClassifier) -> None:
    path = fitted._folder.path
    estimator._remove(path, os.getpid() + 1)
    assert path.is_dir()


def test_its_folder_holds_the_bundle_alone_and_goes_with_it(make: Make, rows: tuple[list[str], list[str]]) -> None:
    model = make().fit(*rows)
    folder = model._folder.path
    assert [path.name for path in folder.iterdir()] == ["bundle"]
    model.fit(*rows)
    gc.collect()
    assert not folder.exists()
    assert model._folder.path.exists()


def test_a_saved_bundle_is_one_that_can_be_loaded(
    fitted: TextClassifier, rows: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    predictor = tunewright.load(fitted.save(tmp_path / "intents"))
    assert [one.label for one in predictor.predict(rows[0])] == fitted.predict(rows[0]).tolist()


def test_searches_and_pipelines_take_it(make: Make, rows: tuple[list[str], list[str]]) -> None:
    texts, intents = np.array(rows[0]), np.array(rows[1])
    lower = make_pipeline(FunctionTransformer(np.char.lower), make())
    grid = {"textclassifier__settings": [{"split.validation": share, "fit.threads": 1} for share in (0.1, 0.2)]}
    search = GridSearchCV(lower, grid, cv=2, error_score="raise").fit(texts, intents)
    assert search.best_score_ > 1 / 3
    assert search.predict(texts).shape == texts.shape
    assert cross_val_score(make(), texts, intents, cv=2, error_score="raise").shape == (2,)


def test_the_same_seed_gives_the_same_model(fitted: TextClassifier, rows: tuple[list[str], list[str]]) -> None:
    again = clone(fitted).fit(*rows)
    assert again.predictor_.manifest.digest == fitted.predictor_.manifest.digest


def test_verbose_tells_what_happens(
    make: Make, rows: tuple[list[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    make(verbose=True).fit(*rows)
    told = capsys.readouterr().out
    assert "probe: validation accuracy" in told
    make().fit(*rows)
    assert capsys.readouterr().out == ""


def test_importing_the_package_imports_no_scikit_learn() -> None:
    code = "import tunewright, sys; print({'sklearn', 'scipy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "tunewright.estimator")
    with pytest.raises(MissingExtra, match=r"TextClassifier needs scikit-learn.*pip install 'tunewright\[train\]'"):
        _ = tunewright.TextClassifier
