"""Requests: a bounded body, parsed and checked, with the place of whatever is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from tunewright.core.errors import nearest
from tunewright.serve.inputs import row_of, row_schema, whole, word_for
from tunewright.serve.limits import Limits
from tunewright.serve.problems import Refusal, shown

EXAMPLE = 'send {"inputs": ["some text"]}'
EXAMPLE_OF_SEVERAL = 'send {"bundles": ["some", "names"], "inputs": ["some text"]}'
DISCARD_TIMES = 8
"""A body this many times over the limit is still read to its end (and forgotten), so that clients that first send
everything and then listen get the answer instead of a broken connection."""


@dataclass(frozen=True)
class Query:
    """What a request asks: rows for the predictor, how many candidates each answer lists, and which targets (all).

    error : rate of errors that is asked for; None = what the bundle says
    """

    rows: Sequence[Any]
    top: int = 0
    targets: Sequence[str] | None = None
    error: float | None = None


async def read_body(request: HttpRequest, limits: Limits) -> bytes:
    """The body, never more than ``limits.body_bytes`` of it in memory.

    Raises
    ------
    Refusal
        413 where it is longer, whether it says so (Content-Length) or not (chunked); 408 where it comes too slowly.
    """
    try:
        async with asyncio.timeout(limits.timeout_seconds):
            return await _bounded(request, limits.body_bytes)
    except TimeoutError:
        seconds = limits.timeout_seconds
        raise Refusal(
            408,
            f"the body did not arrive within {seconds:g} seconds",
            "send it faster, or less of it",
            {"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise Refusal(400, "the connection ended before the body was complete", "send the request again") from None


async def _bounded(request: HttpRequest, most: int) -> bytes:
    stated = request.headers.get("content-length", "")
    waits = request.headers.get("expect", "").lower() == "100-continue"
    if stated.isdigit() and int(stated) > most and waits:
        _too_large(most)
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size <= most:
            pieces.append(piece)
        elif size > DISCARD_TIMES * most:
            break
        else:
            pieces.clear()
    if size > most:
        _too_large(most)
    return b"".join(pieces)


def _too_large(most: int) -> NoReturn:
    raise Refusal(
        413,
        f"the body is larger than the limit of {most} bytes",
        "send fewer or shorter texts per request; `tunewright predict` takes whole files",
        {"Connection": "close"},
    )


def parse(body: bytes, inputs: Mapping[str, str], limits: Limits, targets: Sequence[str] = ()) -> Query:
    """A body as a query.

    Parameters
    ----------
    inputs : column → modality, as the manifest has it
    targets : what the bundle predicts; a body may name some of them where there are several

    Raises
    ------
    Refusal
        400 where the body is not JSON, 413 where it holds too many inputs, 422 where a value does not fit.
    """
    fields = json_object(body)
    _check_names(fields, ("inputs", "top", "error", *(["targets"] if len(targets) > 1 else [])))
    values = _inputs(fields, limits, EXAMPLE)
    top, asked = _top(fields.get("top", 0), limits.top_candidates), _targets(fields.get("targets"), targets)
    return Query(list(_rows(values, inputs, limits)), top, asked, _error(fields.get("error")))


def parse_many(body: bytes, served: Mapping[str, Any], limits: Limits) -> dict[str, Query]:
    """A body that names several bundles as a query for each, in the order in which it names them.

    served : name → what is served under it, see ``registry.py``

    Raises
    ------
    Refusal
        As ``parse`` does, and 404 where a bundle is not served.
    """
    fields = json_object(body, EXAMPLE_OF_SEVERAL)
    _check_names(fields, ("bundles", "inputs", "top", "error"))
    names = fields.get("bundles")
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise Refusal(422, '"bundles" is no list of names', EXAMPLE_OF_SEVERAL)
    for at, name in enumerate(names):
        if name not in served:
            raise Refusal(404, f"there is no bundle {shown(name)}", nearest(name, served))
        if name in names[:at]:
            raise Refusal(422, f'"bundles" names {shown(name)} twice', "name each bundle once")
    values = _inputs(fields, limits, EXAMPLE_OF_SEVERAL)
    if len(values) * len(names) > limits.batch_rows:
        raise Refusal(
            413,
            f"{len(values)} inputs for {len(names)} bundles in one request; the limit is {limits.batch_rows} in all",
            f"send at most {limits.batch_rows // len(names)} inputs per request",
        )
    top, error = _top(fields.get("top", 0), limits.top_candidates), _error(fields.get("error"))
    out = {}
    for name in names:
        inputs = served[name].predictor.manifest.inputs
        out[name] = Query(list(_rows(values, inputs, limits)), top, None, error)
    return out


def _check_names(fields: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in fields:
        if name not in known:
            raise Refusal(422, f"unknown field {shown(name)}", nearest(name, known))


def _inputs(fields: Mapping[str, Any], limits: Limits, example: str) -> list[Any]:
    values = fields.get("inputs")
    if "inputs" not in fields:
        raise Refusal(422, 'the body has no "inputs"', example)
    if not isinstance(values, list):
        raise Refusal(422, f'"inputs" is {word_for(values)}, not a list', example)
    if len(values) > limits.batch_rows:
        raise Refusal(
            413,
            f"{len(values)} inputs in one request; the limit is {limits.batch_rows}",
            f"send at most {limits.batch_rows} per request; `tunewright predict` takes whole files",
        )
    return values


def json_object(body: bytes, example: str = EXAMPLE) -> dict[str, Any]:
    """The fields of a body; ``example`` is told where it is no JSON object."""
    try:
        fields = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise Refusal(400, "the body is not JSON that can be read: it is nested too deeply", example) from None
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the body is not JSON: byte {error.start} is not UTF-8", "encode it as UTF-8") from None
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}", example) from None
    if not isinstance(fields, dict):
        raise Refusal(422, f"the body is {word_for(fields)}, not an object", example)
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _top(value: Any, most: int) -> int:
    number = whole(value)
    if number is None:
        raise Refusal(422, f'"top" is {word_for(value)}, not a whole number', 'send for example "top": 3')
    if not 0 <= number <= most:
        raise Refusal(422, f'"top" is out of its range 0 to {most}', 'send for example "top": 3')
    return number


def _error(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Refusal(422, f'"error" is {word_for(value)}, not a number', 'send for example "error": 0.05')
    if not 0 <= value <= 0.5:
        raise Refusal(422, '"error" is out of its range 0 to 0.5', 'send for example "error": 0.05')
    return float(value)


def _targets(value: Any, known: Sequence[str]) -> list[str] | None:
    """The targets that are asked for, in the bundle's order; None = all."""
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise Refusal(422, '"targets" is no list of names', f'send for example "targets": ["{known[0]}"]')
    for one in value:
        if one not in known:
            raise Refusal(422, f"there is no target {shown(one)}", nearest(one, known))
    return [one for one in known if one in value]


def _rows(values: Sequence[Any], inputs: Mapping[str, str], limits: Limits) -> Iterator[Any]:
    for at, value in enumerate(values):
        yield row_of(value, f"input {at}", inputs, limits)


def schema(
    inputs: Mapping[str, str], limits: Limits, targets: Sequence[str] = (), *, promises: bool = True
) -> dict[str, Any]:
    """JSON schema of a request body for a bundle that reads these columns.

    promises : the bundle can promise a rate of errors
    """
    asked = {
        "type": ["array", "null"],
        "minItems": 1,
        "items": {"enum": list(targets)},
        "description": "Which targets are answered; default: all.",
    }
    return _schema(
        {
            "inputs": _inputs_schema(row_schema(inputs, limits), limits),
            **_shared(limits, promises=promises),
            **({"targets": asked} if len(targets) > 1 else {}),
        },
        ["inputs"],
    )


def schema_of_several(served: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """JSON schema of a request body that names several bundles."""
    names = {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"enum": list(served)},
        "description": "Which bundles answer; inputs times bundles may be as many as the inputs of one bundle.",
    }
    rows = {"anyOf": [{"type": "string", "maxLength": limits.text_characters}, {"type": "object"}]}
    return _schema({"bundles": names, "inputs": _inputs_schema(rows, limits), **_shared(limits)}, ["bundles", "inputs"])


def _schema(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _inputs_schema(rows: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    return {
        "type": "array",
        "maxItems": limits.batch_rows,
        "items": rows,
        "description": "Texts, or records by column; other columns of a record are not read.",
    }


def _shared(limits: Limits, *, promises: bool = True) -> dict[str, Any]:
    error = {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 0.5,
        "description": "Rate at which sets of labels may miss the true one; 0 = all rows are answered.",
    }
    return {
        "top": {
            "type": "integer",
            "minimum": 0,
            "maximum": limits.top_candidates,
            "default": 0,
            "description": "How many of the best candidates each answer lists.",
        },
        "error": error if promises else {"type": "null", "description": "This bundle can promise none."},
    }
