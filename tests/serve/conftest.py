"""What the tests of the service share: a real small predictor, a client, a running service, a browser."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from tunewright.serve.http import application
from tunewright.serve.limits import Limits
from tunewright.serve.registry import Registry

HERE = Path(__file__).parent


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"serve_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bayes() -> ModuleType:
    return _module("bayes")


@pytest.fixture(scope="session")
def callers() -> ModuleType:
    return _module("callers")


@pytest.fixture(scope="session")
def static_bundle() -> ModuleType:
    """The module that makes bundles without torch."""
    spec = importlib.util.spec_from_file_location("static_bundle", HERE.parent / "runtime" / "static_bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def static_folder(static_bundle: ModuleType, sample_rows: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle of the sample rows of both languages. Never change it: copy it."""
    rows = [*sample_rows["support_train.csv"], *sample_rows["support_zh_train.csv"]]
    folder = tmp_path_factory.mktemp("static") / "static"
    static_bundle.static_bundle(folder, [row["text"] for row in rows], [row["intent"] for row in rows])
    return folder


@pytest.fixture(scope="session")
def static(static_bundle: ModuleType, static_folder: Path) -> Any:
    """That bundle, loaded."""
    return static_bundle.load(static_folder, threads=1)


@pytest.fixture
def siblings(static: Any, tmp_path: Path) -> Callable[[int], list[Path]]:
    """Makes bundles on one encoder, with heads that differ."""
    sibling = sys.modules["static_bundle"].sibling
    return lambda count: [sibling(static.folder, tmp_path / f"task-{at}", at) for at in range(count)]


@pytest.fixture
def connect() -> Iterator[Callable[..., TestClient]]:
    """A client of an application over these predictors."""
    opened: list[TestClient] = []

    def connect(*predictors: Any, limits: Limits | None = None, sink: Any = None) -> TestClient:
        registry = predictors[0] if isinstance(predictors[0], Registry) else None
        app = application(registry or {one.manifest.name: one for one in predictors}, limits, sink)
        client = TestClient(app)
        client.__enter__()
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(connect: Callable[..., TestClient], bayes: ModuleType) -> TestClient:
    return connect(bayes.topics())


@contextmanager
def _running(
    seconds: float = 0.0, options: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, str(HERE / "bayes.py"), "--seconds", str(seconds), *options]
    around = {name: value for name, value in os.environ.items() if not name.startswith("TUNEWRIGHT_KEYS")}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=around | dict(environment or {})
        ) as process,
    ):
        process.log = log  # type: ignore[attr-defined]
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if " at http://" not in line:
                log.seek(0)
                pytest.fail(f"the service did not start: {line!r} {log.read()}")
            yield process, line.split(" at ")[1].split()[0]
        finally:
            process.kill()


@pytest.fixture(scope="session")
def running() -> Callable[..., Any]:
    """A service in a process of its own: ``with running(seconds) as (process, address)``; options: see bayes.py."""
    return _running
