"""Students: what they begin as, what they learn, what they weigh, and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tunewright.compress import distill
from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons
from tunewright.compress._teaching import Lesson, Place, softened
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.heads.classify import ClassifyHead
from tunewright.heads.regress import RegressHead
from tunewright.kinds.classify import Classify
from tunewright.runtime.predictor import Predictor

pytestmark = pytest.mark.usefixtures("traced_once")

TEXTS = ["my card was stolen", "where is my refund?", "I want to change my address"]


def test_a_static_student_agrees_with_its_teacher_far_beyond_chance_whatever_the_order_of_words(
    tiny_bundle: Path, make: Callable[..., Copy], lessons: Callable[..., Lessons]
) -> None:
    given = lessons("static", epochs=20, rows=400)
    copy = make("distill", "static", lessons=given)
    assert copy.manifest.backbone["family"] == "static"
    assert copy.manifest.method["name"] == "distill"
    assert copy.manifest.method["teacher"] == read_manifest(tiny_bundle).digest
    assert set(copy.beside("encoder.text")) == {"words.weight"}
    student, teacher = Predictor.load(copy.folder, 1), Predictor.load(tiny_bundle, 1)
    texts = list(given.labelled.inputs["text"])
    same = [one.label == other.label for one, other in zip(student.predict(texts), teacher.predict(texts), strict=True)]
    assert np.mean(same) > 0.4  # of eight labels; the teacher is random
    turned = [" ".join(reversed(text.rstrip("?").split())) for text in TEXTS]
    plain = [text.rstrip("?") for text in TEXTS]
    assert np.abs(student.embed(turned) - student.embed(plain)).max() < 1e-5


def test_layers_begin_as_the_teachers_and_are_evenly_spaced(
    make: Callable[..., Copy], lessons: Callable[..., Lessons]
) -> None:
    assert distill.spaced(12, 3) == [3, 7, 11]
    copy = make("distill", "layers=1", lessons=lessons("layers=1"))
    assert copy.manifest.backbone["config"]["num_hidden_layers"] == 1
    assert "layers.1.up.weight" not in copy.tensors("encoder.text")


def test_rows_without_labels_are_learnt_from_and_are_enough(
    make: Callable[..., Copy], lessons: Callable[..., Lessons]
) -> None:
    both = lessons("static", rows=30, unlabelled=TEXTS * 4)
    assert (both.taught.labelled, len(both.taught.part.truth)) == (30, 42)
    assert both.taught.validation.max() < 30
    copy = make("distill", "static", lessons=lessons("static", rows=0, unlabelled=TEXTS * 4))
    assert "learnt from 0 rows with labels and 12 without" in copy.notes[0]


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ("layers=2", "--student layers=2: the teacher has 2 layers, so that this is no smaller student → name 1 to 1"),
        ("layers=0", "--student layers=0"),
        ("BACKBONE", r"has [\d,]+ parameters, and its teacher [\d,]+: a student is smaller → name a smaller one"),
        ("minilm-eng", "minilm-en"),
    ],
)
def test_a_student_that_is_no_smaller_than_its_teacher_or_not_known_is_refused(
    student: str,
    message: str,
    tiny_bundle: Path,
    tiny_backbone: Path,
    tmp_path: Path,
    lessons: Callable[..., Lessons],
) -> None:
    named = student.replace("BACKBONE", str(tiny_backbone))
    copy = Copy.of(tiny_bundle, tmp_path / "copy", lessons=lessons(named))
    assert distill.settings(copy) == (named,)
    with pytest.raises(TunewrightError, match=message):
        distill.run(copy, named)


def test_distilling_without_rows_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = Copy.of(tiny_bundle, tmp_path / "copy")
    assert distill.settings(copy) == distill.SETTINGS
    with pytest.raises(TunewrightError, match="distill learns, and there are no rows that it may learn from"):
        distill.run(copy, "static")


def test_the_loss_is_least_where_the_student_says_what_the_teacher_says() -> None:
    kind = Classify(("a", "b", "c"), temperature=2.0)
    logits = np.array([[2.0, 0.0, -2.0]])
    soft = softened(kind, logits, 2.0)
    assert soft[0] == pytest.approx(torch.tensor([0.5, 0.0, -0.5]).softmax(0).numpy())
    wanted = torch.cat(
        [torch.from_numpy(softened(kind, logits, 1.0)), torch.from_numpy(soft), torch.tensor([[0.6, 0.8]])], 1
    )
    place = Place(ClassifyHead, True, 1.0, slice(0, 3), slice(0, 3), slice(3, 6))
    lesson = Lesson((place,), 3, 2, 2.0)
    given = torch.tensor([[1.0, 0.0, -1.0, 0.6, 0.8]], dtype=torch.float64, requires_grad=True)
    lesson.loss(given, wanted).sum().backward()
    assert given.grad is not None
    assert given.grad[0, :3].abs().max() < 1e-6
    far = torch.tensor([[0.0, 0.0, 0.0, -0.6, -0.8]], dtype=torch.float64)
    assert float(lesson.loss(far, wanted)[0]) > float(lesson.loss(given.detach(), wanted)[0]) + 1.9


def test_numbers_are_learnt_by_their_squared_error() -> None:
    class Head:
        mean, scale = 1.0, 2.0
        loss = RegressHead.loss

    lesson = Lesson((Place(Head(), False, 1.0, slice(0, 1), slice(0, 1), slice(1, 2)),), 1, 1, 2.0)
    given, wanted = torch.tensor([[0.5, 1.0]]), torch.tensor([[3.0, 2.0, 1.0]])
    assert float(lesson.loss(given, wanted)[0]) == pytest.approx(0.5 * 0.25 + 0.5 * 0.0)


def test_a_teacher_in_two_parts_is_counted_whole(
    make: Callable[..., Copy], lessons: Callable[..., Lessons], halved_bundles: dict[str, Path], tmp_path: Path
) -> None:
    bundle, names = halved_bundles["lora-0"], ("top-0", "lora-0", "whole")
    counts = [distill._numbers_of(Copy.of(halved_bundles[name], tmp_path / name)) for name in names]
    assert counts[0] == counts[1] == counts[2]
    copy = make("distill", "layers=1", lessons=lessons("layers=1", teacher=bundle), bundle=bundle)
    assert copy.manifest.encoder == ("encoder.text",)
