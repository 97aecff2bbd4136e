"""Answers: response models made from the kinds' answer types, and the bodies that fit them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, Union, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as ModelField
from pydantic_core import to_json

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Kind
from tunewright.kinds._reviewed import reviewed as with_mark


class Writer:
    """Turns the answers of one kind into JSON values: what has a default of None and is None is left out."""

    def __init__(self, target: str, answer: type) -> None:
        self.target = target
        self.always = tuple(one.name for one in fields(answer) if one.default is not None)
        self.sometimes = tuple(one.name for one in fields(answer) if one.default is None)

    def body(self, answer: Any) -> dict[str, Any]:
        """One prediction, with an id of its own."""
        out = {"id": uuid.uuid4().hex, "target": self.target}
        for name in self.always:
            out[name] = getattr(answer, name)
        for name in self.sometimes:
            value = getattr(answer, name)
            if value is not None:
                out[name] = value
        return out


def types_of(kinds: Mapping[str, Kind], *, reviewed: bool = False) -> dict[str, type]:
    """Target → the type of its answers.

    reviewed : they say whether a person should look at them
    """
    return {target: with_mark(kind.answer) if reviewed else kind.answer for target, kind in kinds.items()}


def writers(kinds: Mapping[str, Kind], *, reviewed: bool = False) -> dict[str, Writer]:
    """Target → its writer."""
    return {target: Writer(target, answer) for target, answer in types_of(kinds, reviewed=reviewed).items()}


def predictions(answers: Mapping[str, Sequence[Any]], by_target: Mapping[str, Writer]) -> Iterator[dict[str, Any]]:
    """Row by row, one prediction per target."""
    columns = [(by_target[target], found) for target, found in answers.items()]
    for row in zip(*(found for _, found in columns), strict=True):
        for (writer, _), answer in zip(columns, row, strict=True):
            yield writer.body(answer)


def encode(found: Sequence[Mapping[str, Any]], digest: str) -> bytes:
    """The response body. A number that JSON cannot hold (nan, infinite) becomes null."""
    return to_json({"predictions": found, "bundle": digest}, inf_nan_mode="null")


def encode_of_several(found: Sequence[Mapping[str, Any]], digests: Mapping[str, str]) -> bytes:
    """The response body where several bundles were asked."""
    return to_json({"predictions": found, "bundles": digests}, inf_nan_mode="null")


def response_of_several() -> type[BaseModel]:
    """The model of the response of several bundles, whose predictions differ by their kinds."""
    each = create_model(
        "prediction-of-several",
        __doc__="One prediction; its further fields are those of the bundle's own predictions.",
        __config__=ConfigDict(extra="allow"),
        id=(str, ModelField(pattern="^[0-9a-f]{32}$")),
        target=(str, ...),
        bundle=(str, ModelField(description="Which bundle predicts it.")),
    )
    return create_model(
        "answer-of-several",
        predictions=(list[each], ModelField(description="By input, then by bundle, then by target.")),
        bundles=(dict[str, str], ModelField(description="Name and digest of each bundle that answered.")),
    )


def response_model(bundle: str, kinds: Mapping[str, Kind], *, reviewed: bool = False) -> type[BaseModel]:
    """The exact model of a bundle's response."""
    answers = types_of(kinds, reviewed=reviewed)
    each: Any = Union[tuple(_prediction(bundle, target, answer) for target, answer in answers.items())]  # noqa: UP007
    described = {
        "predictions": (list[each], ModelField(description=f"One per input and target: {', '.join(kinds)}.")),
        "bundle": (str, ModelField(description="Digest of the bundle that answered.")),
    }
    return create_model(f"{bundle}-answer", **described)  # type: ignore[call-overload, no-any-return]


def _prediction(bundle: str, target: str, answer: type) -> type[BaseModel]:
    hints = get_type_hints(answer)
    body: dict[str, Any] = {one.name: (hints[one.name], _default(one)) for one in fields(answer)}
    taken = {"id", "target"} & set(body)
    if taken:
        raise TunewrightError(
            f"{answer.__name__} has a field {min(taken)!r}, which every answer has", "name it otherwise"
        )
    head: dict[str, Any] = {
        "id": (
            str,
            ModelField(description="Name of this prediction; feedback refers to it.", pattern="^[0-9a-f]{32}$"),
        ),
        "target": (Literal[target], ...),
    }
    about = (answer.__doc__ or "").strip()
    return create_model(f"{bundle}-{target}", __doc__=about, **head, **body)


def _default(one: Field[Any]) -> Any:
    if one.default is not MISSING:
        return one.default
    return ModelField(default_factory=one.default_factory) if one.default_factory is not MISSING else ...
