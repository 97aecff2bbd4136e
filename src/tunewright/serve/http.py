"""The HTTP application: routes over predictors."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.plugins import reads
from tunewright.monitor.events import Event, NullSink, Sink
from tunewright.runtime.review import Rules
from tunewright.serve import requests
from tunewright.serve.answers import Writer, encode, predictions, response_model, writers
from tunewright.serve.explain import add_explain
from tunewright.serve.limits import Limits
from tunewright.serve.metrics import CONTENT_TYPE, Metrics
from tunewright.serve.pages import site
from tunewright.serve.pool import Clock, Pool
from tunewright.serve.predictor import Predictor
from tunewright.serve.problems import Problem, Refusal, problem_response, shown
from tunewright.serve.service import MEANING, Service, same_site
from tunewright.serve.watch import Watch

log = logging.getLogger("tunewright.serve")

ABOUT = 'Answers of bundles over HTTP. Every error is `{"problem": …, "remedy": …}`.'


@dataclass(frozen=True)
class Endpoint:
    """One bundle's predict route."""

    name: str
    predictor: Predictor
    service: Service
    writers: Mapping[str, Writer]

    async def predict(self, request: Request) -> Response:
        """Answer texts (or records by column), one prediction per input and target, in input order."""
        clock = Clock(self.service.limits.timeout_seconds)
        request.state.bundle = self.name
        same_site(request)
        body = await requests.read_body(request, self.service.limits)
        encoded = await self.service.pool.run(lambda: self._work(body, clock, request.state), clock)
        return Response(encoded, media_type="application/json")

    def _work(self, body: bytes, clock: Clock, state: Any) -> bytes:
        """Everything that takes time, in a thread: parse, predict, encode."""
        clock.check()
        query = requests.parse(body, self.predictor.manifest.inputs, self.service.limits, tuple(self.writers))
        state.rows = len(query.rows)
        self.service.metrics.rows.labels(self.name).observe(len(query.rows))
        self.service.metrics.count_personal(self.name, query.rows)
        digest = self.predictor.manifest.digest
        found: list[dict[str, Any]] = []
        for start, piece in slices(query.rows, self.service.limits):
            clock.check()
            found.extend(predictions(self._answers(start, piece, query), self.writers))
        clock.check()
        self.service.metrics.count_reviews(self.name, found)
        if self.service.sink is not None:
            _emit(self.service, query.rows, found, digest)
        return encode(found, digest)

    def _answers(self, start: int, rows: Sequence[Any], query: requests.Query) -> dict[str, list[Any]]:
        try:
            return self.predictor.answers(rows, query.top, query.targets, query.error)
        except TunewrightError as error:
            counted = f"(counted from input {start}) " if start else ""
            raise Refusal(422, counted + error.problem, error.remedy) from None


def slices(rows: Sequence[Any], limits: Limits) -> list[tuple[int, Sequence[Any]]]:
    """Rows cut into pieces of ``slice_rows`` or ``slice_characters`` at most, each with the index of its first row."""
    cuts, characters = [0], 0
    for at, row in enumerate(rows):
        length = sum(len(str(value)) for value in row.values()) if isinstance(row, dict) else len(str(row))
        if at > cuts[-1] and (at - cuts[-1] >= limits.slice_rows or characters + length > limits.slice_characters):
            cuts.append(at)
            characters = 0
        characters += length
    return [(start, rows[start:end]) for start, end in zip(cuts, [*cuts[1:], len(rows)], strict=True)] if rows else []


def _emit(service: Service, rows: Sequence[Any], found: Sequence[Mapping[str, Any]], digest: str) -> None:
    assert service.sink is not None
    now, targets = time.time(), len(found) // max(len(rows), 1)
    try:
        service.sink.emit([_event(one, rows[at // targets], digest, now) for at, one in enumerate(found)])
    except Exception as error:  # a lost event must not cost the client its answer
        service.metrics.sink_failures.inc()
        log.error("the event sink failed", exc_info=error)


def _event(found: Mapping[str, Any], row: Any, digest: str, now: float) -> Event:
    answer = {name: _plain(value) for name, value in islice(found.items(), 2, None)}
    return Event(found["id"], now, digest, found["target"], answer, row)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def application(predictors: Mapping[str, Predictor], limits: Limits | None = None, sink: Sink | None = None) -> FastAPI:
    """The ASGI application that answers for some bundles.

    Parameters
    ----------
    predictors : name in the address → predictor; the first one also answers ``POST /predict``
    sink : takes one event per prediction; None or a ``NullSink`` = no events are made

    Raises
    ------
    TunewrightError
        There is no bundle, or a name cannot stand in an address.
    """
    limits = limits or Limits()
    _check_names(predictors)
    metrics = Metrics({name: one.manifest.digest for name, one in predictors.items()})
    service = Service(limits, Pool(limits), metrics, None if isinstance(sink, NullSink) else sink)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.pool.close()

    app = FastAPI(
        title="Tunewright", version=_version(), description=ABOUT, lifespan=lifespan,
        docs_url=None, redoc_url=None, swagger_ui_oauth2_redirect_url=None, redirect_slashes=False,
        servers=[{"url": "."}],  # relative to openapi.json: right behind a proxy that takes a prefix off, too
    )  # fmt: skip
    app.state.stopping = 0  # the signal that told it to
    app.add_middleware(Watch, metrics=metrics)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    _add_predict(app, predictors, service)
    add_explain(app, predictors, service)
    _add_state(app, service)
    site.add(app, predictors, limits)
    return app


def _add_predict(app: FastAPI, predictors: Mapping[str, Predictor], service: Service) -> None:
    for at, (name, predictor) in enumerate(predictors.items()):
        reviewed = Rules.of(predictor.manifest.task) is not None
        endpoint = Endpoint(name, predictor, service, writers(predictor.kinds, reviewed=reviewed))
        model = response_model(name, predictor.kinds, reviewed=reviewed)
        for path in (f"/v1/{name}/predict", *(["/predict"] if at == 0 else [])):
            app.add_api_route(
                path, endpoint.predict, methods=["POST"], response_model=model, tags=["predict"],
                response_description="Predictions in input order.",
                name="predict" if path == "/predict" else f"predict with {name}",
                summary=f"Predict with {name}" + (" (the first bundle)" if path == "/predict" else ""),
                openapi_extra={"requestBody": _request_body(predictor, service.limits)},
                responses={status: {"model": Problem, "description": text} for status, text in MEANING.items()},
            )  # fmt: skip

    async def unknown(bundle: str) -> Response:
        raise Refusal(404, f"there is no bundle {shown(bundle)}", nearest(bundle, predictors))

    app.add_api_route("/v1/{bundle}/predict", unknown, methods=["POST"], include_in_schema=False)


def _request_body(predictor: Predictor, limits: Limits) -> dict[str, Any]:
    columns = predictor.manifest.inputs
    alone = [reads(modality) for modality in columns.values()] == ["text"]
    one: Any = "some text" if alone else dict.fromkeys(columns, "some text")
    content = {
        "schema": requests.schema(columns, limits, tuple(predictor.kinds)),
        "example": {"inputs": [one], "top": 3},
    }
    return {"required": True, "content": {"application/json": content}}


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", tags=["state"], summary="Is the process alive?")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    stopping = {503: {"model": Problem, "description": "The service is stopping."}}

    @app.get("/readyz", tags=["state"], summary="Shall requests be sent here?", responses=stopping)  # type: ignore[arg-type]
    async def readyz() -> dict[str, str]:
        if app.state.stopping:
            raise Refusal(503, "the service is stopping", "send requests to another instance")
        return {"status": "ready"}

    @app.get("/metrics", tags=["state"], summary="Metrics for Prometheus", response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.text(), headers={"content-type": CONTENT_TYPE})


def _check_names(predictors: Mapping[str, Predictor]) -> None:
    if not predictors:
        raise TunewrightError("there is no bundle to serve", "name at least one folder that `tunewright fit` wrote")
    for name in predictors:
        if not name.strip() or not name.isprintable() or set(name) & set("/{}?#%\\"):
            raise TunewrightError(
                f"the bundle's name {name!r} cannot stand in an address", "rename it with letters and digits"
            )


def _version() -> str:
    try:
        return version("tunewright")
    except PackageNotFoundError:
        return "0"


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return problem_response(error.status, error.problem, error.remedy, error.headers)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own errors (no route, wrong method) in the house's form."""
    assert isinstance(error, HTTPException)
    path, problem, remedy = shown(request.url.path), str(error.detail), "see /docs"
    if error.status_code == 404:
        problem, remedy = f"there is no page {path}", "POST /predict answers; /docs lists every address"
    if error.status_code == 405:
        problem = f"{path} does not take {shown(request.method)}"
        remedy = f"use {(error.headers or {}).get('allow', 'POST')}"
    return problem_response(error.status_code, problem, remedy, error.headers)
