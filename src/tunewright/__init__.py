"""Tunewright 调匠: rows and a small pretrained model in; a fine-tuned, judged, servable model out, on one CPU machine.

Names are resolved on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
"""Where numpy is not loaded yet: its idle threads wait in a loop for 2^20 cycles. By themselves it is 2^26, which costs
each start 50 ms of CPU; products take as long with both."""

_HOMES = {
    "fit": "tunewright.pipeline",
    "check": "tunewright.pipeline",
    "evaluate": "tunewright.pipeline",
    "compare": "tunewright.pipeline",
    "card": "tunewright.pipeline",
    "pretrain": "tunewright.pipeline",
    "tune": "tunewright.pipeline",
    "load": "tunewright.runtime.predictor",
    "Predictor": "tunewright.runtime.predictor",
    "Task": "tunewright.core.task",
    "TextClassifier": "tunewright.estimator",
    "Client": "tunewright.client",
    "AsyncClient": "tunewright.client",
    "TunewrightError": "tunewright.core.errors",
    "GateMissed": "tunewright.core.errors",
}

__all__ = [
    "AsyncClient",
    "Client",
    "GateMissed",
    "Predictor",
    "Task",
    "TextClassifier",
    "TunewrightError",
    "audit",
    "card",
    "check",
    "compare",
    "evaluate",
    "fit",
    "load",
    "pretrain",
    "tune",
]

if TYPE_CHECKING:
    from tunewright.client import AsyncClient, Client
    from tunewright.core.errors import GateMissed, TunewrightError
    from tunewright.core.task import Task
    from tunewright.estimator import TextClassifier
    from tunewright.pipeline import check, evaluate, fit
    from tunewright.pipeline.card import card
    from tunewright.pipeline.compare import compare
    from tunewright.pipeline.pretrain import pretrain
    from tunewright.pipeline.tune import tune
    from tunewright.runtime.predictor import Predictor, load


def __getattr__(name: str) -> Any:
    if name == "audit":  # the package of that name, which is the verb where it is called
        return import_module("tunewright.audit")
    if name not in _HOMES:
        raise AttributeError(f"module 'tunewright' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
