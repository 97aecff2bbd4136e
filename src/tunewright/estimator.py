"""``TextClassifier``: the line behind scikit-learn's interface, for pipelines, cross-validation and searches."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import MissingExtra
from tunewright.data.targets import NAN_WORDS
from tunewright.pipeline import fit as fit_bundle
from tunewright.runtime.predictor import load

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
except ModuleNotFoundError as error:
    raise MissingExtra("TextClassifier", "scikit-learn", "train") from error

TEXT, LABEL = "text", "label"


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify texts with a fine-tuned backbone.

    ``X`` is a list, array or series of n strings, or a frame or array of shape (n, 1). ``y`` holds n labels of any type
    that sorts. Rows without any text are left out of the training, and are answered like any other.

    Parameters
    ----------
    backbone : name, folder or hub id; ``auto`` chooses by the language of the texts
    method : a file's name in methods/; ``auto`` takes the best that the minutes allow
    minutes : time for one fit
    seed : of splits, batches and draws; the same seed and rows give the same model
    settings : further settings of a task by dotted name, such as ``{"fit.epochs": 2, "fit.threads": 1}``
    verbose : print what ``tunewright fit`` tells on the way

    Attributes
    ----------
    classes_ : the labels (k,), sorted
    predictor_ : the loaded bundle; ``predictor_.manifest.metrics`` tells how good it was on the rows held out
    n_features_in_ : 1, the column of texts

    Examples
    --------
    >>> model = TextClassifier(minutes=2).fit(texts, intents)                         # doctest: +SKIP
    >>> model.predict(["my card has not come"])                                       # doctest: +SKIP
    array(['card_arrival'], dtype='<U31')
    """

    def __init__(
        self,
        backbone: str = "auto",
        method: str = "auto",
        minutes: float = 5.0,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        verbose: bool = False,
    ) -> None:
        self.backbone = backbone
        self.method = method
        self.minutes = minutes
        self.seed = seed
        self.settings = settings
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn from texts and labels; a tenth of the rows (``split.validation``) chooses between methods.

        Raises
        ------
        ValueError, TypeError
            X or y is not of the form above, or y has fewer than two classes.
        TunewrightError
            What ``tunewright fit`` refuses, such as an unknown backbone.
        """
        texts, labels = _texts(X), _labels(y)
        check_consistent_length(texts, labels)
        classes, position = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"TextClassifier needs two classes or more; y has one class: {classes[0]!r}")
        names = _names(classes)
        rows = {TEXT: texts, LABEL: [names[at] for at in position.tolist()]}
        folder = _Folder()
        out, settings = folder.path / "bundle", self._settings(names)
        listener = _tell if self.verbose else None
        predictor = fit_bundle(rows, text=TEXT, label=LABEL, out=out, settings=settings, listener=listener)
        folder.keep(out)
        # Only now, so that a fit that fails leaves what was fitted before.
        self.classes_, self.predictor_, self._folder, self.n_features_in_ = classes, predictor, folder, 1
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The label of each text (n,)."""
        check_is_fitted(self, "predictor_")
        decided = self.predictor_.kind.decide(self._logits(X))
        return np.asarray(self.classes_[decided])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """float64 (n, k): calibrated probabilities in the order of ``classes_``."""
        check_is_fitted(self, "predictor_")
        return np.asarray(self.predictor_.kind.proba(self._logits(X)), np.float64)

    def save(self, out: str | Path) -> Path:
        """Copy the bundle to ``out``, for ``tunewright serve`` and ``tunewright.load``; it must not exist yet."""
        check_is_fitted(self, "predictor_")
        return Path(shutil.copytree(self._folder.path / "bundle", out))

    def _logits(self, X: Any) -> Any:  # noqa: N803
        texts = _texts(X)
        return next(iter(self.predictor_.logits({TEXT: texts}).values()))

    def _settings(self, names: list[str]) -> dict[str, Any]:
        chosen = {"fit.backbone": self.backbone, "fit.method": self.method, "fit.minutes": self.minutes}
        fixed = {"seed": self.seed, "targets.0.labels": names, "data.drop_empty": True, "split.test": 0.0}
        return {**chosen, **fixed, **(self.settings or {})}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = False, True, True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """A pickle holds the bundle's files, so it can be loaded on another machine."""
        state = dict(super().__getstate__())
        folder: _Folder | None = state.pop("_folder", None)
        if folder is not None:
            state.pop("predictor_", None)
            state["_files"] = folder.read()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        files: dict[str, bytes] | None = state.pop("_files", None)
        super().__setstate__(state)
        if files is not None:
            self._folder = _Folder(files)
            self.predictor_ = load(self._folder.path / "bundle")


class _Folder:
    """A temporary folder that goes when the process that made it no longer needs it (not when a fork of it ends)."""

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="tunewright-"))
        self._end = weakref.finalize(self, _remove, self.path, os.getpid())
        for name, content in (files or {}).items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def keep(self, chosen: Path) -> None:
        """Remove what lies beside ``chosen``: the run's log, and pages that show rows."""
        for path in self.path.iterdir():
            if path != chosen:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def read(self) -> dict[str, bytes]:
        """Every file by its path inside."""
        paths = sorted(path for path in self.path.rglob("*") if path.is_file())
        return {path.relative_to(self.path).as_posix(): path.read_bytes() for path in paths}


def _remove(path: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


def _tell(record: Mapping[str, Any]) -> None:
    if record.get("say"):
        print(f"{record['seconds']:7.1f} s  {record['say']}")


def _texts(X: Any) -> list[str]:  # noqa: N803
    """n strings out of a list, an array, a series or a frame with one column."""
    if isinstance(X, str | bytes):
        raise TypeError("X is a single text; give a list of texts")
    if hasattr(X, "toarray") or isinstance(X, Mapping):
        raise TypeError(f"X is a {type(X).__name__}; give a list, an array, a series or a frame of texts")
    found = X.to_numpy() if hasattr(X, "to_numpy") else X
    values = np.empty(len(found), object) if isinstance(found, list | tuple) else np.asarray(found, object)
    if isinstance(found, list | tuple):
        values[:] = [one[0] if isinstance(one, list | tuple) and len(one) == 1 else one for one in found]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"X has the shape {values.shape}; expected n texts, or an array or frame of shape (n, 1)")
    if not len(values):
        raise ValueError("X has 0 rows; a minimum of 1 is required")
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise TypeError(f"X, row {row}: {value!r:.60} is a {type(value).__name__}, not a text")
    return [str(value) for value in values]


def _labels(y: Any) -> NDArray[Any]:
    """n labels that can be told apart and sorted."""
    if y is None:
        raise ValueError("TextClassifier requires y to be passed, but the target y is None")
    shape = np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(f"y has {shape[1]} columns; TextClassifier learns one target, tunewright.fit several at once")
    labels = np.asarray(column_or_1d(y, warn=True))
    missing = ~np.isfinite(labels) if labels.dtype.kind == "f" else np.array([label is None for label in labels], bool)
    if missing.any():
        raise ValueError(f"y, row {int(missing.argmax())}: {labels[missing.argmax()]!r} is no label")
    check_classification_targets(labels)
    return labels


def _names(classes: NDArray[Any]) -> list[str]:
    """The labels as the bundle holds them: as texts, or numbered where texts would not tell them apart."""
    names = [str(one) for one in classes.tolist()]
    lost = any(not name.strip() or name.strip().lower() in NAN_WORDS for name in names)
    return [f"class {at}" for at in range(len(names))] if lost or len(set(names)) < len(names) else names
