"""The API description: the file in docs/ is current, and requests generated from it are answered as it says."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from tunewright.serve.access.access import Access
from tunewright.serve.access.keys import Keys, hash_of
from tunewright.serve.http import application
from tunewright.serve.limits import Limits

ROOT = Path(__file__).resolve().parents[2]
# Small limits keep the generated bodies small; nothing else of a schema depends on them.
LIMITS = Limits(batch_rows=4, text_characters=40, top_candidates=5, explain_pieces=4)
TRACE = '.py"' + ", line "  # in two pieces, since texts of this file are tried as inputs
PATIENT = settings(
    max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("openapi_script", ROOT / "scripts" / "openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_description_in_docs_is_the_one_that_the_application_gives() -> None:
    made = script()
    assert made.FILE.read_text(encoding="utf-8") == made.described(), "run `make docs`"


def test_every_route_but_health_asks_for_a_key_where_there_are_keys(bayes: ModuleType) -> None:
    app = application({"topics": bayes.topics()}, access=Access(Keys({"a": hash_of("a")})))
    told = app.openapi()
    assert told["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert told["security"] == [{"key": []}]
    free = [path for path, one in told["paths"].items() if any(way.get("security") == [] for way in one.values())]
    assert sorted(free) == ["/healthz", "/readyz"]
    assert "security" not in application({"topics": bayes.topics()}).openapi()


@pytest.fixture(scope="module")
def schema(bayes: ModuleType, static: Any) -> Any:
    app = application({"both": bayes.topics_and_moods(), "intents": static}, LIMITS)
    return schemathesis.openapi.from_asgi("/openapi.json", lasting(app))


def lasting(app: Any) -> Any:
    """The application without its end: each generated request would start and stop it."""

    async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})

    return without_lifespan


def drive(operation: Any, mode: GenerationMode) -> Counter[int]:
    """Status → how many generated requests got it; every answer is compared with the description."""
    statuses: Counter[int] = Counter()

    @PATIENT
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        response = case.call()
        statuses[response.status_code] += 1
        assert TRACE not in response.text
        case.validate_response(response, excluded_checks=unfit(operation, response.status_code))

    try:
        ask()
    except FailureGroup as failed:
        pytest.fail("\n".join(str(one) for one in failed.exceptions), pytrace=False)
    return statuses


def unfit(operation: Any, status: int) -> list[Callable[..., Any]]:
    """Checks that do not fit: 413 is how too many inputs are refused, and a text without a word has no explanation."""
    if status == 413:
        return [schemathesis.checks.negative_data_rejection]
    return [schemathesis.checks.positive_data_acceptance] if operation.path.endswith("explain") else []


@pytest.mark.parametrize("path", ["/predict", "/v1/both/predict", "/v1/intents/predict"])
def test_requests_that_fit_are_answered_as_described(path: str, schema: Any) -> None:
    assert set(drive(schema[path]["POST"], GenerationMode.POSITIVE)) == {200}


@pytest.mark.parametrize("path", ["/predict", "/v1/intents/predict"])
def test_requests_that_do_not_fit_are_refused_as_described(path: str, schema: Any) -> None:
    assert set(drive(schema[path]["POST"], GenerationMode.NEGATIVE)) <= {400, 413, 422}


def test_explanations_are_as_described(schema: Any) -> None:
    operation = schema["/v1/intents/explain"]["POST"]
    assert set(drive(operation, GenerationMode.POSITIVE)) <= {200, 422}
    assert set(drive(operation, GenerationMode.NEGATIVE)) <= {400, 422}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/bundles"])
def test_what_takes_no_input_is_as_described(path: str, schema: Any) -> None:
    assert set(drive(schema[path]["GET"], GenerationMode.POSITIVE)) == {200}
