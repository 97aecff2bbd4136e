"""A short training as its journal tells it, and what a watcher is told when it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewright.core.journal import Following

START = {"metric": "accuracy", "score": 0.25, "best": 0.25, "unit": "tokens", "trainable_parameters": 9}
STEP = {"epoch": 1, "steps": 40, "learning_rate": 0.01, "cost_per_second": 900.0, "peak_rss_bytes": 5_000_000}
RUNG = {"score": 0.75, "gain": None, "low": None, "kept": True, "took_seconds": 3.5, "size_bytes": 400}


@pytest.fixture
def records() -> list[dict[str, Any]]:
    full = {"seconds": 1.0, "method": "full", "course": "full"}
    pairs = {"seconds": 2.0, "method": "contrastive", "course": "contrastive-2"}
    return [
        {
            "event": "settings",
            "seconds": 0.0,
            "settings": {"fit.epochs": [3, "flag"], "inputs.text 列": ["text", "file"]},
        },
        {"event": "begin", **full, "step": 0, **START},
        {"event": "step", **full, "step": 1, "loss": 2.0, **STEP},
        {"event": "step", **full, "step": 21, "loss": None, **STEP},
        {"event": "epoch", **full, "step": 40, "metric": "accuracy", "score": 0.75, "best": 0.75},
        {"event": "begin", **pairs, "step": 0, **START},
        {"event": "step", **pairs, "step": 1, "loss": 0.5, **STEP},
        {"event": "astray", **pairs},
        {"event": "rung", "seconds": 3.0, "method": "full", **RUNG},
        {"event": "result", "seconds": 4.0, "metric": "accuracy", "value": 0.8, "low": 0.7, "high": 0.9},
        {"event": "result", "seconds": 4.0, "metric": "accuracy", "target": "urgency", "value": 0.6},
        {"event": "end", "seconds": 5.0, "ended": "finished"},
    ]


@pytest.fixture
def following(tmp_path: Path) -> Following:
    (tmp_path / "work-1").mkdir()
    return Following("intents", tmp_path, tmp_path / "work-1")
