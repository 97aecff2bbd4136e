"""The protocol of whatever is audited, and which of the forms something is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tunewright.audit import Columns
from tunewright.core.errors import TunewrightError
from tunewright.core.task import Task
from tunewright.core.types import Array, Kind
from tunewright.pipeline.models.bundle import Bundle
from tunewright.pipeline.models.function import Function
from tunewright.pipeline.models.service import Service, is_address
from tunewright.runtime.predictor import Predictor, load


class Model(Protocol):
    """What an audit asks, whatever stands behind it.

    task : what it was to learn: input columns, targets, gates
    kinds : target → kind; those of a service may know more once it has answered rows
    scores : its answers have probabilities
    digest : of its bundle; empty where it has none or does not tell
    about : what the report says of it, as a bundle's manifest does
    predictor, embed, folder : where it is a bundle at hand; see ``audit.Context``
    """

    task: Task
    scores: bool
    digest: str

    @property
    def kinds(self) -> Mapping[str, Kind]: ...
    @property
    def about(self) -> Mapping[str, Any]: ...
    @property
    def predictor(self) -> Predictor | None: ...
    @property
    def embed(self) -> Any: ...
    @property
    def folder(self) -> Path | None: ...

    def answers(self, columns: Columns) -> Mapping[str, Array]:
        """Target → logits of the rows to be judged, asked as ``ask`` does, once for all that can share it."""
        ...

    def ask(self, columns: Columns, target: str) -> Array:
        """Logits of n rows, in the coding of the target's kind.

        Raises
        ------
        TunewrightError
            It does not answer, or what it answers cannot be read.
        """
        ...


def model_of(
    model: Any,
    *,
    labels: Sequence[str] | None = None,
    text: Sequence[str] = (),
    label: str | None = None,
    file: tuple[Sequence[str], str | None] = ((), None),
    seconds: float = 30.0,
) -> Model:
    """A bundle's folder or a loaded one, the address of a service, or a function, as a ``Model``.

    labels : those of a function, in the order of its probabilities
    text, label : input columns and label column, where they are named otherwise than those of the model
    file : the same as a task file has them, for a model that is no bundle
    seconds : how long an answer of a service may take

    Raises
    ------
    TunewrightError
        There is no such bundle, the service does not answer, or ``model`` is none of these.
    """
    told = labels is not None or bool(text)
    columns, column = text or file[0], label or file[1]
    if isinstance(model, str) and is_address(model):
        if labels is not None:
            raise TunewrightError("a service tells its labels itself", "leave labels out")
        return Service(model, text=columns, label=column, seconds=seconds)
    if isinstance(model, str | Path | Predictor):
        if told:
            raise TunewrightError("a bundle tells its labels and input columns itself", "leave labels and text out")
        return Bundle(model if isinstance(model, Predictor) else load(model))
    if callable(model):
        return Function(model, labels, text=columns, label=column)
    raise TunewrightError(
        f"{type(model).__name__} is no model", "give a bundle's folder, the address of a service, or a function"
    )
