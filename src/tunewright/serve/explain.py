"""The explain route: what each piece of one input speaks for its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, get_type_hints, runtime_checkable

from fastapi import Request, Response
from pydantic import BaseModel, create_model
from pydantic_core import to_json

from tunewright.core.errors import TunewrightError, nearest
from tunewright.runtime.explain import Explanation
from tunewright.runtime.ways import WAYS
from tunewright.serve import requests
from tunewright.serve.access.guard import charge
from tunewright.serve.inputs import row_of, row_schema, whole, word_for
from tunewright.serve.limits import Limits
from tunewright.serve.pool import Clock
from tunewright.serve.predictor import Predictor
from tunewright.serve.problems import Refusal, shown
from tunewright.serve.registry import Registry, Served
from tunewright.serve.service import Service, same_site

EXAMPLE = 'send {"input": "some text"}'
PIECES = 16
"""Pieces of a text where a request names no number: their 17 variants cost about ten predictions."""
FIELDS = ("input", "method", "target", "label", "pieces")


@runtime_checkable
class Explainer(Predictor, Protocol):
    """A predictor that can be explained, as a loaded bundle can."""

    def explain(self, inputs: Any, method: str = ..., **options: Any) -> list[Explanation]:
        """As ``Predictor.explain`` in ``runtime/predictor.py``."""
        ...


@dataclass(frozen=True)
class Endpoint:
    """The explain routes."""

    registry: Registry
    service: Service

    async def named(self, request: Request) -> Response:
        """Explain one text (or record by column): one explanation, or one for each label that is predicted."""
        return await self._explain(request, self.registry.find(request.path_params["bundle"]))

    async def first(self, request: Request) -> Response:
        """The same of the first bundle."""
        return await self._explain(request, self.registry.first)

    async def _explain(self, request: Request, served: Served) -> Response:
        clock, predictor = Clock(self.service.limits.timeout_seconds), served.predictor
        if not isinstance(predictor, Explainer):
            raise Refusal(404, f"{shown(served.name)} cannot be explained", "ask for its predictions only")
        request.state.bundle, request.state.rows = served.name, 1
        same_site(request)
        body = await requests.read_body(request, self.service.limits)
        charge(request.state, 1)
        encoded = await self.service.pool.run(lambda: self._work(predictor, body, clock), clock)
        return Response(encoded, media_type="application/json")

    def _work(self, predictor: Explainer, body: bytes, clock: Clock) -> bytes:
        clock.check()
        manifest, limits = predictor.manifest, self.service.limits
        row, options = parse(body, manifest.inputs, limits)
        try:
            found = predictor.explain([row], **options, characters=limits.explain_characters)
        except TunewrightError as error:
            raise Refusal(422, error.problem, error.remedy) from None
        clock.check()
        told = [{key: value for key, value in asdict(one).items() if key != "row"} for one in found]
        return to_json({"explanations": told, "bundle": manifest.digest}, inf_nan_mode="null")


def parse(body: bytes, inputs: Mapping[str, str], limits: Limits) -> tuple[Any, dict[str, Any]]:
    """The input, and what is asked of it by the names of ``Predictor.explain``.

    Raises
    ------
    Refusal
        400 where the body is not JSON, 422 where a value does not fit.
    """
    given = requests.json_object(body, EXAMPLE)
    for name in given:
        if name not in FIELDS:
            raise Refusal(422, f"unknown field {shown(name)}", nearest(name, FIELDS))
    if "input" not in given:
        raise Refusal(422, 'the body has no "input"', EXAMPLE)
    row = row_of(given["input"], "the input", inputs, limits)
    options: dict[str, Any] = {"most": _pieces(given.get("pieces"), limits.explain_pieces)}
    for name in ("method", "target", "label"):
        value = given.get(name)
        if value is not None and not isinstance(value, str):
            raise Refusal(422, f'"{name}" is {word_for(value)}, not a name', "send a string, or leave it out")
        options |= {name: value} if value is not None else {}
    return row, options


def _pieces(value: Any, most: int) -> int:
    if value is None:
        return min(PIECES, most)
    number = whole(value)
    if number is None:
        raise Refusal(422, f'"pieces" is {word_for(value)}, not a whole number', 'send for example "pieces": 16')
    if not 1 <= number <= most:
        raise Refusal(422, f'"pieces" is out of its range 1 to {most}', 'send for example "pieces": 16')
    return number


def schema(predictor: Predictor, limits: Limits) -> dict[str, Any]:
    """JSON schema of a request body."""
    labels = sorted({label for kind in predictor.kinds.values() for label in getattr(kind, "labels", ())})
    named = {"description": "What is explained; default: what is predicted."}
    return {
        "type": "object",
        "properties": {
            "input": row_schema(predictor.manifest.inputs, limits),
            "method": {"enum": [*WAYS, None], "default": "occlusion"},
            "target": {"enum": [*predictor.kinds, None], "description": "Default: the first one."},
            **({"label": named | {"enum": [*labels, None]}} if labels else {}),
            "pieces": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": limits.explain_pieces,
                "default": min(PIECES, limits.explain_pieces),
                "description": "Into how many pieces the text is cut at most; words beyond it stand together.",
            },
        },
        "required": ["input"],
        "additionalProperties": False,
    }


def response_model() -> type[BaseModel]:
    """The model of an explanation."""
    hints = get_type_hints(Explanation)
    body: dict[str, Any] = {one.name: (hints[one.name], ...) for one in fields(Explanation) if one.name != "row"}
    each = create_model("explanation", __doc__="What the pieces of the input speak for one label, or a number.", **body)
    return create_model("explanations", explanations=(list[each], ...), bundle=(str, ...))
