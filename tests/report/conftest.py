"""One judged model with hostile names and private texts, and the record made of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright import report
from tunewright.audit import Context, Training, audit, judge
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify

HOSTILE = '<script>alert(1)</script> & "co" | *b* {{ 7*7 }}'
TEXTS = [f"private text number {at} with <i>marks</i> 私密{at}号" for at in range(200)]


@pytest.fixture(scope="session")
def context() -> Context:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 200)
    logits = draw.normal(0, 1, (200, 3)) + 2.5 * np.eye(3)[truth]
    kind = Classify((HOSTILE, "好评", "plain_label"))
    inputs = {"text": TEXTS}
    return Context(kind, logits, truth, inputs, leaked=np.zeros(200, bool), train=Training({}, truth))


@pytest.fixture(scope="session")
def findings(context: Context) -> list[Finding]:
    return judge(audit(context), {"accuracy": ">= 0.5", "macro_f1": ">= 0.99"})


@pytest.fixture(scope="session")
def about(context: Context) -> dict[str, Any]:
    """As a bundle's manifest."""
    return {
        "name": "intents <&>",
        "inputs": {"text": "text"},
        "targets": [{"name": "category", "kind": "classify", "labels": list(context.kind.labels), "spec": {}}],
        "parts": {"encoder.text": object()},
        "backbone": {"name": "minilm-en", "source": "folder", "licence": "Apache-2.0", "config": {"x": 1}},
        "method": {"name": "probe", "strength": 10.0},
        "task": {
            "seed": 5,
            "fit": {"minutes": 2.0, "method": "auto"},
            "targets": [{"column": "category"}],
            "gates": {},
        },
        "data": {"train_rows": 1000, "test_rows": 200, "digest": "sha256:abc"},
        "run": {
            "sources": {"seed": "flag", "fit.minutes": "file", "fit.method": "default", "targets.0.column": "flag"},
            "rungs": [
                {"method": "probe", "score": 0.8, "seconds": 1.5, "gain": None, "low": None, "kept": True, "facts": {}},
                {"method": "full", "score": 0.81, "seconds": 9.0, "gain": 0.01, "low": -0.01, "kept": False},
            ],
            "seconds": 12.0,
            "files": {"secret": 1},
        },
    }


@pytest.fixture(scope="session")
def issues() -> list[dict[str, Any]]:
    return [{"level": "warn", "name": "duplicates", "problem": "3 rows <b>occur</b> twice", "remedy": "drop them"}]


@pytest.fixture(scope="session")
def record(about: dict[str, Any], findings: list[Finding], issues: list[dict[str, Any]]) -> dict[str, Any]:
    return report.record(about, findings, issues)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE
