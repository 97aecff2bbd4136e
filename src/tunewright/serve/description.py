"""The description of the service: its OpenAPI document, with the exact answers of the bundles of this moment."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from tunewright.core.errors import TunewrightError
from tunewright.core.plugins import reads
from tunewright.serve import explain, requests
from tunewright.serve.answers import response_model, response_of_several
from tunewright.serve.limits import Limits
from tunewright.serve.predict import Endpoint as Predict
from tunewright.serve.predictor import Predictor
from tunewright.serve.problems import Problem
from tunewright.serve.registry import Registry, Served
from tunewright.serve.service import MEANING


class Description:
    """Made when somebody asks, and kept until the bundles change."""

    def __init__(self, app: FastAPI, registry: Registry, limits: Limits) -> None:
        self._app = app
        self._registry = registry
        self._limits = limits
        self._version = -1
        self._made: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        """The document as JSON values."""
        version = self._registry.version
        if version != self._version:
            app = self._app
            routes = [*_routes(self._registry, self._limits), *app.routes]
            self._made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=routes, servers=app.servers
            )
            self._version = version
        return self._made


def _routes(registry: Registry, limits: Limits) -> Iterator[APIRoute]:
    explanations = explain.response_model()
    for at, served in enumerate(registry.served.values()):
        yield from _of_bundle(served, limits, explanations, first=at == 0)
    schema = requests.schema_of_several(registry.served, limits)
    example = {"bundles": list(registry.served)[:2], "inputs": [_example(registry.first)]}
    yield _route(
        "/v1/predict",
        Told("predict", "Predict with several bundles at once", inspect.getdoc(Predict.several)),
        response_of_several(),
        "Predictions by input, then by bundle, then by target.",
        {"schema": schema, "example": example},
    )


def _of_bundle(served: Served, limits: Limits, explanations: type, *, first: bool) -> Iterator[APIRoute]:
    name, predictor = served.name, served.predictor
    schema = requests.schema(predictor.manifest.inputs, limits, tuple(predictor.kinds), promises=_promises(predictor))
    content = {"schema": schema, "example": {"inputs": [_example(served)], "top": 3}}
    model = response_model(name, predictor.kinds, reviewed=served.reviewed)
    for path in (f"/v1/{name}", *([""] if first else [])):
        also = "" if path else " (the first bundle)"
        asks = Told("predict", f"Predict with {name}{also}", inspect.getdoc(Predict.named))
        yield _route(f"{path}/predict", asks, model, "Predictions in input order.", content)
        if isinstance(predictor, explain.Explainer):
            asked = {"schema": explain.schema(predictor, limits)}
            told = "One explanation, or one for each label that is predicted."
            asks = Told("explain", f"Explain an answer of {name}{also}", inspect.getdoc(explain.Endpoint.named))
            yield _route(f"{path}/explain", asks, explanations, told, asked)


def _promises(predictor: Predictor) -> bool:
    """Whether the bundle can promise a rate of errors."""
    able = [kind for kind in predictor.kinds.values() if hasattr(kind, "at_error")]
    try:
        return bool([kind.at_error(0.1) for kind in able])
    except TunewrightError:
        return False


def _example(served: Served) -> Any:
    columns = served.predictor.manifest.inputs
    alone = [reads(modality) for modality in columns.values()] == ["text"]
    return "some text" if alone else dict.fromkeys(columns, "some text")


@dataclass(frozen=True)
class Told:
    """What is told of a route: the group that it belongs to, and what it does, in short and in full."""

    tag: str
    summary: str
    description: str | None


def _route(path: str, told: Told, model: type, answer: str, content: dict[str, Any]) -> APIRoute:
    return APIRoute(
        path,
        _described,
        methods=["POST"],
        response_model=model,
        tags=[told.tag],
        summary=told.summary,
        description=told.description,
        name=told.summary[:1].lower() + told.summary[1:],
        response_description=answer,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": content}}},
        responses={status: {"model": Problem, "description": text} for status, text in MEANING.items()},
    )


async def _described(request: Request) -> Response:
    """Never called: the routes that answer are those of the application."""
    raise NotImplementedError(request.url.path)
