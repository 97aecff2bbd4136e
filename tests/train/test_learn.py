"""From rows to a fitted model: the backbone by language, labels of both parts, truth of every window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import Task, read_task
from tunewright.kinds.classify import Classify
from tunewright.train import learn as learning
from tunewright.train.examples import Part, encode
from tunewright.train.learn import choose_backbone, learn, prepare

Make = Callable[..., Any]


@pytest.fixture
def task(tiny_backbone: Path) -> Task:
    own = {"fit.backbone": str(tiny_backbone), "fit.threads": 1, "fit.method": "probe", "fit.max_tokens": 12}
    return read_task(None, own | {"inputs.text": "text", "targets.0.column": "label"})[0]


@pytest.mark.parametrize(("language", "name"), [("en", "minilm-en"), ("zh", "e5-small"), ("xx", "e5-small")])
def test_the_language_chooses(language: str, name: str, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def stop(name: str, fit: Any) -> None:
        asked.append(name)
        raise TunewrightError("asked", "that is all")

    monkeypatch.setattr(learning, "load", stop)
    with pytest.raises(TunewrightError, match="asked"):
        choose_backbone(task.model_copy(update={"fit": task.fit.model_copy(update={"backbone": "auto"})}), language)
    assert asked == [name]


def test_a_backbone_of_another_modality_is_refused(task: Task) -> None:
    pictures = task.model_copy(update={"inputs": {"photo": "image"}})
    with pytest.raises(TunewrightError, match="reads text, not image → choose a backbone of that modality"):
        choose_backbone(pictures, "en")


def test_long_rows_have_their_truth_in_every_window(task: Task) -> None:
    backbone, _ = choose_backbone(task, "en")
    part = Part({"text": ["where is my parcel " * 9, "hello"]}, ["a", "b"])
    examples = encode(part, ["text"], backbone.modality, Classify(("a", "b")))
    windows = examples.windows.owner.tolist().count(0)
    assert windows > 2
    assert examples.wanted.tolist() == [0] * windows + [1]
    assert (len(examples), examples.truth.tolist()) == (2, [0, 1])


def learnt(task: Task, tmp_path: Path, train: list[str], validation: list[str]) -> Any:
    words = {"a": "where is my parcel", "b": "cancel my order please", "c": "i want a refund"}
    parts = [
        Part({"text": [f"{words[label]} {at}" for at, label in enumerate(some)]}, some) for some in (train, validation)
    ]
    run = Run(tmp_path, tmp_path / "out", 5.0)
    named = {"train": parts[0], "validation": parts[1], "held_out": parts[1]}
    context = prepare(task, task.targets[0], named, "en", run)
    return context, *learn(context)


def test_a_label_of_the_validation_part_alone_is_a_label(task: Task, tmp_path: Path) -> None:
    context, fitted, rungs = learnt(task, tmp_path, ["a", "b"] * 8, ["a", "c"])
    assert context.kind.labels == ("a", "b", "c")
    assert fitted.validation_logits.shape == (2, 3)
    assert [(rung.method, rung.kept) for rung in rungs] == [("lexical", False), ("probe", True)]


def test_labels_of_the_task_win_and_keep_their_order(task: Task, tmp_path: Path) -> None:
    own = task.targets[0].model_copy(update={"labels": ("c", "b", "a")})
    context, _, _ = learnt(task.model_copy(update={"targets": (own,)}), tmp_path, ["a", "b"] * 8, ["a", "b"])
    assert context.kind.labels == ("c", "b", "a")


def test_embeddings_of_long_rows_are_the_mean_of_their_windows_by_tokens(task: Task, make_context: Make) -> None:
    context = make_context("classify", {"fit.max_tokens": 8})
    windows = context.train.windows
    assert len(windows) > len(context.train)
    row = int(windows.owner[np.flatnonzero(np.diff(windows.owner) == 0)[0]])
    index = np.flatnonzero(windows.owner == row)
    from tunewright.heads._pooled import Embed
    from tunewright.train.outputs import frozen

    pieces = frozen(context.backbone.encoder, Embed("mean"), context.backbone.modality, windows, context.device)
    expected = np.average([pieces[at] for at in index], axis=0, weights=windows.cost[index])
    np.testing.assert_allclose(context.train_embeddings[row], expected, atol=1e-6)
