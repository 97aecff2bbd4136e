"""Inputs: one text or record of a request, checked, with the place of whatever is wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunewright.core.plugins import reads
from tunewright.serve.limits import Limits
from tunewright.serve.problems import Refusal, shown

NO_NUL = "^[^\\u0000]*$"


def row_of(value: Any, place: str, inputs: Mapping[str, str], limits: Limits) -> Any:
    """A text, or a record with the columns that are read.

    place : what messages call it

    Raises
    ------
    Refusal
        422 where it does not fit.
    """
    columns = list(inputs)
    if isinstance(value, dict):
        return {name: _cell(value, name, place, inputs[name], limits) for name in columns}
    if len(columns) > 1:
        record = ", ".join(f'"{name}": "…"' for name in columns)
        raise Refusal(
            422, f"{place} is {word_for(value)}; the bundle reads {len(columns)} columns", f"send {{{record}}}"
        )
    return _checked(value, place, inputs[columns[0]], limits)


def _cell(record: Mapping[str, Any], name: str, place: str, modality: str, limits: Limits) -> Any:
    if name not in record:
        has = f" (it has {', '.join(shown(one) for one in list(record)[:5])})" if record else ""
        raise Refusal(422, f"{place}: column {name!r} is missing{has}", f'send {{"{name}": "…"}}')
    return _checked(record[name], f"{place}, column {name!r}", modality, limits)


def _checked(value: Any, place: str, modality: str, limits: Limits) -> Any:
    if reads(modality) == "text" and not isinstance(value, str):
        raise Refusal(422, f"{place} is {word_for(value)}, not a text", 'send a string ("" where there is no text)')
    for text in _texts(value):
        if len(text) > limits.text_characters:
            problem = f"{place}: the text is {len(text)} characters long; the limit is {limits.text_characters}"
            raise Refusal(422, problem, "split it into shorter texts")
        if "\0" in text:
            raise Refusal(422, f"{place}: character {text.index(chr(0))} is NUL", "remove the NUL characters")
        if not text.isascii():
            _whole(text, place)
    return value


def _whole(text: str, place: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Refusal(
            422,
            f"{place}: character {error.start} is a lone surrogate (\\u{ord(text[error.start]):04x})",
            "send both halves of the pair, or replace it by \\ufffd",
        ) from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def whole(value: Any) -> int | None:
    """A whole number as JSON Schema has it, so 3.0 is one, too; None where the value is none.

    >>> whole(3), whole(3.0), whole(3.5), whole(True)
    (3, 3, None, None)
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def word_for(value: Any) -> str:
    """What messages call a JSON value that is of the wrong type."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def row_schema(inputs: Mapping[str, str], limits: Limits) -> dict[str, Any]:
    """JSON schema of one input: a text or a record, or a record where there are several columns."""
    text = {"type": "string", "maxLength": limits.text_characters, "pattern": NO_NUL}
    cells: dict[str, Any] = {name: text if reads(modality) == "text" else {} for name, modality in inputs.items()}
    record = {"type": "object", "properties": cells, "required": list(inputs)}
    return {"anyOf": [next(iter(cells.values())), record]} if len(cells) == 1 else record
