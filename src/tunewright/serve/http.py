"""The HTTP application: routes over predictors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from tunewright.monitor.events import NullSink, Sink
from tunewright.serve.access.access import Access
from tunewright.serve.access.guard import Guard
from tunewright.serve.access.scheme import add_scheme
from tunewright.serve.batching import Batching
from tunewright.serve.bundles import add_bundles
from tunewright.serve.description import Description
from tunewright.serve.explain import Endpoint as Explain
from tunewright.serve.limits import Limits
from tunewright.serve.metrics import CONTENT_TYPE, Metrics
from tunewright.serve.pages import site
from tunewright.serve.pool import Pool
from tunewright.serve.predict import Endpoint as Predict
from tunewright.serve.predictor import Predictor
from tunewright.serve.problems import Problem, Refusal, problem_response, shown
from tunewright.serve.registry import Registry
from tunewright.serve.service import Service
from tunewright.serve.watch import Watch

ABOUT = 'Answers of bundles over HTTP. Every error is `{"problem": …, "remedy": …}`.'


def application(
    predictors: Mapping[str, Predictor] | Registry,
    limits: Limits | None = None,
    sink: Sink | None = None,
    access: Access | None = None,
) -> FastAPI:
    """The ASGI application that answers for some bundles.

    Parameters
    ----------
    predictors : name in the address → predictor; the first one also answers ``POST /predict``. A registry can change
        while it is served
    sink : takes one event per prediction; None or a ``NullSink`` = no events are made
    access : who may ask, and by which names; None = anybody

    Raises
    ------
    TunewrightError
        There is no bundle, or a name cannot stand in an address.
    """
    limits = limits or Limits()
    registry = predictors if isinstance(predictors, Registry) else Registry(predictors)
    metrics = Metrics()
    registry.listen(lambda changed: metrics.serves({name: one.digest for name, one in changed.served.items()}))
    batching = Batching(limits)
    service = Service(limits, Pool(limits), batching, metrics, None if isinstance(sink, NullSink) else sink)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.pool.close()
        service.batching.close()

    app = FastAPI(
        title="Tunewright", version=_version(), description=ABOUT, lifespan=lifespan,
        docs_url=None, redoc_url=None, swagger_ui_oauth2_redirect_url=None, redirect_slashes=False,
        servers=[{"url": "."}],  # relative to openapi.json: right behind a proxy that takes a prefix off, too
    )  # fmt: skip
    app.state.stopping = 0  # the signal that told it to
    app.state.metrics = metrics
    app.add_middleware(Guard, access=access or Access(), limits=limits, metrics=metrics)
    app.add_middleware(Watch, metrics=metrics)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    _add_answers(app, registry, service)
    _add_state(app, service)
    add_bundles(app, registry, limits)
    site.add(app)
    app.openapi = Description(app, registry, limits)  # type: ignore[method-assign]
    if access is not None and access.keys is not None:
        add_scheme(app)
    return app


def _add_answers(app: FastAPI, registry: Registry, service: Service) -> None:
    """The routes of the bundles, which come and go: what they are for at this moment is in ``description.py``."""
    predict, explain = Predict(registry, service), Explain(registry, service)
    routes = {
        "/v1/{bundle}/predict": predict.named,
        "/predict": predict.first,
        "/v1/predict": predict.several,
        "/v1/{bundle}/explain": explain.named,
        "/explain": explain.first,
    }
    app.router.routes.extend(_route(path, endpoint) for path, endpoint in routes.items())


def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """A plain route: what FastAPI's own does before an endpoint took a fifth of the event loop's time."""

    async def answer(request: Request) -> Response:
        request.scope["route"] = route  # for the metrics
        return await endpoint(request)

    route = Route(path, answer, methods=["POST"])
    return route


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
