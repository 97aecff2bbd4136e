"""A smaller model that learns from the bundle as it was: fewer layers, a static table of tokens, or another backbone.

``--student static`` is a vector for each token and their mean: no layers, so that rows cost little more than cutting
them into tokens. ``--student layers=3`` keeps evenly spaced layers of the teacher. A folder or the name of a backbone
is another network, with a tokenizer of its own. All learn from labelled and unlabelled rows alike.

Sources: Hinton et al. 2015 (arXiv 1503.02531); Sanh et al. 2020, DistilBERT; Tulkens and van Dongen 2024, model2vec.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from tunewright.backbones import static
from tunewright.backbones._catalogue import Found
from tunewright.backbones._load import load
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons
from tunewright.compress._narrow import by_magnitude, narrowed, plain_layers
from tunewright.compress._network import head_of, lessons_of, network_of, put_back, training, without_words
from tunewright.compress._teaching import recovered, settings_of, taught
from tunewright.compress._words import counts_of, encoder_of, table_of
from tunewright.core.bundle import MANIFEST
from tunewright.core.errors import TunewrightError
from tunewright.methods import probe
from tunewright.modalities.text import Text
from tunewright.runtime.predictor import Predictor
from tunewright.train.context import Context
from tunewright.train.course import Groups, Model, decayed
from tunewright.train.fitted import Fitted

LEARNS = True
SETTINGS = ("static", "a third of the layers", "half of the layers")
LAYERS = re.compile(r"^layers\s*=\s*(\d+)$")
SHARES = {"a third of the layers": 3, "half of the layers": 2}


@dataclass(frozen=True)
class Student:
    """What learns.

    head : makes it, once the context has the student's backbone
    """

    backbone: LoadedBackbone
    found: Found
    head: Callable[[Context], nn.Module]
    epochs: int
    rate: float
    groups: Groups = decayed


def settings(copy: Copy) -> tuple[str, ...]:
    """The student that was asked for; without one, those of ``SETTINGS`` in their order."""
    asked = copy.lessons.student if copy.lessons is not None else ""
    return (asked,) if asked else SETTINGS


def run(copy: Copy, setting: str) -> None:
    """Make the student, let it learn, and put it in the place of the teacher.

    Raises
    ------
    TunewrightError
        There are no rows to learn from, the student is no smaller than the teacher, or it cannot be made of it.
    """
    lessons = lessons_of(copy, "distill")
    student = student_of(copy, lessons, setting)
    with training(copy, lessons, student.backbone, student.found, epochs=student.epochs) as (context, told):
        model = Model(context.copy_of_encoder(), student.head(context))
        best, facts = taught(
            context,
            model,
            told,
            name="distill",
            rate=student.rate,
            temperature=lessons.task.compress.temperature,
            groups=student.groups,
        )
        own = len(told.part.truth) - told.labelled
        copy.notes.append(f"{setting}: learnt from {told.labelled:,} rows with labels and {own:,} without")
        copy.notes.append(recovered(context, best, facts))
        method = {"student": setting, "teacher": copy.manifest.digest, "training": settings_of(facts)}
        put_back(copy, context, Fitted("distill", context.whole(model.encoder), model.head, best.outputs, method))


def student_of(copy: Copy, lessons: Lessons, setting: str) -> Student:
    """The student that a setting names."""
    if setting == "static":
        return _static(copy, lessons)
    if (found := LAYERS.match(setting)) is not None:
        return _fewer_layers(copy, int(found[1]))
    if setting in SHARES:
        network = network_of(copy.folder, "distill")
        return _fewer_layers(
            copy, max(1, plain_layers(network.backbone.encoder, "distill").shape.layers // SHARES[setting])
        )
    return _other(copy, lessons, setting)


def _static(copy: Copy, lessons: Lessons) -> Student:
    predictor = Predictor.load(copy.folder, lessons.task.fit.threads)
    modality = predictor.modality
    if not isinstance(modality, Text):
        read = ", ".join(copy.manifest.modalities)
        remedy = without_words("distill") if read == "text_ngrams" else "leave distill out"
        raise TunewrightError(f"a static student reads tokens, and this bundle reads {read}", remedy)
    bare = replace(modality, prefix="", max_tokens=static.LONGEST)
    counts = counts_of(bare, [list(lessons.taught.part.inputs[name]) for name in lessons.task.inputs])
    encoder = encoder_of(table_of(predictor, counts), bare)
    about = copy.manifest.backbone
    backbone = LoadedBackbone(static.FAMILY, "text", bare, encoder, encoder.width, "mean", static.config_of(encoder))
    found = Found(f"static of {about['name']}", copy.folder, "bundle", copy.manifest.digest, False, about["licence"])
    _smaller(backbone, _numbers_of(copy), "static")
    # A token of few rows is not to lose its vector by decay.
    return Student(backbone, found, probe.started_head, 30, 2e-3, lambda model, decay: decayed(model, 0.0))


def _fewer_layers(copy: Copy, count: int) -> Student:
    network = network_of(copy.folder, "distill")
    encoder = plain_layers(network.backbone.encoder, "distill")
    shape = encoder.shape
    if not 0 < count < shape.layers:
        raise TunewrightError(
            f"--student layers={count}: the teacher has {shape.layers} layers, so that this is no smaller student",
            f"name 1 to {shape.layers - 1}" if shape.layers > 1 else "use --student static",
        )
    small = narrowed(encoder, by_magnitude(encoder), spaced(shape.layers, count), shape.heads, shape.inner)
    return Student(network.narrowed_to(small), network.found, lambda context: head_of(context, network), 8, 2e-4)


def spaced(layers: int, count: int) -> list[int]:
    """Places of ``count`` layers of so many, evenly spaced, the last among them.

    >>> spaced(6, 3), spaced(6, 4)
    ([1, 3, 5], [1, 2, 3, 5])
    """
    return [round((at + 1) * layers / count) - 1 for at in range(count)]


def _other(copy: Copy, lessons: Lessons, name: str) -> Student:
    """A backbone by its name or folder, or the encoder of another bundle."""
    if (Path(name) / MANIFEST).is_file():
        network = network_of(Path(name), "distill")
        backbone, found = network.backbone, replace(network.found, name=Path(name).name)
    else:
        backbone, found = load(name, lessons.task.fit.model_copy(update={"max_tokens": 0, "prefix": None}))
    read = set(copy.manifest.inputs.values())
    if read != {backbone.modality_name}:
        raise TunewrightError(
            f"--student {name}: it reads {backbone.modality_name}, and the bundle {', '.join(sorted(read))}",
            "name a student that reads the same",
        )
    _smaller(backbone, _numbers_of(copy), name)
    return Student(backbone, found, probe.started_head, 8, 2e-4)


def _smaller(student: LoadedBackbone, teacher: int, name: str) -> None:
    own = sum(one.numel() for one in student.encoder.parameters())
    if own >= teacher:
        raise TunewrightError(
            f"--student {name} has {own:,} parameters, and its teacher {teacher:,}: a student is smaller",
            "name a smaller one, or --student static",
        )


def _numbers_of(copy: Copy) -> int:
    """Numbers in the tensors of the copy's encoder; constants of its graph are none."""
    tensors = [copy.beside(part) or copy.tensors(part) for part in copy.manifest.encoder]
    return sum(one.size for own in tensors for one in own.values())
