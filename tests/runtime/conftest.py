"""What the tests of the runtime share: the builder of static bundles, and two bundles of the sample rows."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from tunewright.runtime.predictor import Predictor

# How quick a busy machine is says nothing about a property.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Rows = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="session")
def static_bundle() -> ModuleType:
    """The module static_bundle.py; ``static_bundle.static_bundle(folder, texts, labels)`` writes a bundle."""
    spec = importlib.util.spec_from_file_location("runtime_static_bundle", Path(__file__).parent / "static_bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bundle(static_bundle: ModuleType, sample_rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the sample rows, with windows so short that a sentence has several. Not to be written to."""
    rows = sample_rows["support_train.csv"]
    folder = tmp_path_factory.mktemp("bundles") / "intents"
    texts, labels = ([row[name] for row in rows] for name in ("text", "intent"))
    static_bundle.static_bundle(folder, texts, labels, max_tokens=8)
    return folder


@pytest.fixture(scope="session")
def predictor(bundle: Path) -> Predictor:
    return Predictor.load(bundle, threads=1)


@pytest.fixture(scope="session")
def texts(sample_rows: Rows) -> list[str]:
    """The sample's test texts, a long one, an empty one, and one without a known word."""
    found = [row["text"] for row in sample_rows["support_test.csv"]]
    return [*found, " ".join(found), "", "zzz qqq"]


@pytest.fixture
def siblings(static_bundle: ModuleType, bundle: Path, tmp_path: Path) -> Callable[[int], list[Path]]:
    """Makes bundles on one encoder, with heads that differ."""
    return lambda count: [static_bundle.sibling(bundle, tmp_path / f"task-{at}", at) for at in range(count)]
