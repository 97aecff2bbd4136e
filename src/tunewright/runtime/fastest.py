"""Which of two ways computes an encoder sooner here: measured once when a service loads a bundle, and remembered.

A process that answers some rows and ends would pay more for measuring than it gains: it takes what is remembered, or
else native code, which was faster wherever it was measured.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np
import onnxruntime

from tunewright import __version__
from tunewright.core.types import Array
from tunewright.runtime.graphs import Graph
from tunewright.runtime.native import NativeEncoder
from tunewright.runtime.processor import processor
from tunewright.runtime.threads import available

SHAPE, ROUNDS = (2, 16), 3
"""Texts and tokens of each that are measured with: between one short text and a batch. The fastest round counts."""
ALIKE = 0.9
"""Cosine of both ways' states from which on they compute the same: a byte rounded otherwise moves all behind it."""
MOST = 200
"""Choices that are remembered; the oldest go."""
Encodes = Graph | NativeEncoder


def memory() -> Path | None:
    """Where choices are kept: ``TUNEWRIGHT_CACHE``, by default ``~/.cache/tunewright``; None where there is no home."""
    try:
        return Path(os.environ.get("TUNEWRIGHT_CACHE") or Path.home() / ".cache" / "tunewright") / "fastest.json"
    except RuntimeError:
        return None


def fastest(
    content: Hashable,
    graph: Callable[[], Graph],
    native: Callable[[], NativeEncoder],
    words: int,
    *,
    measure: bool,
) -> Encodes:
    """The graph, or native code that computes the same in less time; where it need not be measured, one is made.

    content : of the encoder, and how many threads it has
    words : how many tokens there are
    measure : where nothing is remembered
    """
    file, key = memory(), named(content)
    known = _remembered(file)
    if known.get(key) == "graph":
        return graph()
    other = native()
    if key in known or not measure:
        return other
    ready = graph()
    chosen: Encodes = other if _wins(other, ready, words) else ready
    _remember(file, known | {key: "native" if chosen is other else "graph"})
    return chosen


def named(content: Hashable) -> str:
    """A name for the content, and for all else that decides how fast it is computed: programs and processor."""
    told = (content, __version__, onnxruntime.__version__, processor().name, available())
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _wins(native: NativeEncoder, graph: Graph, words: int) -> bool:
    ids = np.random.default_rng(0).integers(0, words, SHAPE)
    arrays = {"input_ids": ids, "attention_mask": np.ones(SHAPE, np.int64)}
    seconds: dict[Encodes, list[float]] = {native: [], graph: []}
    states: dict[Encodes, Array] = {}
    for _ in range(ROUNDS):
        for way, took in seconds.items():
            begun = time.perf_counter()
            states[way] = way(arrays)["states"]
            took.append(time.perf_counter() - begun)
    one, other = (np.ravel(states[way]) for way in (native, graph))
    alike = float(one @ other) / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9)
    return alike >= ALIKE and min(seconds[native]) < min(seconds[graph])


def _remembered(file: Path | None) -> dict[str, str]:
    try:
        told = json.loads(file.read_text(encoding="utf-8")) if file is not None else {}
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _remember(file: Path | None, choices: dict[str, str]) -> None:
    """Where that cannot be written, it is measured again the next time."""
    if file is None:
        return
    kept = dict(list(choices.items())[-MOST:])
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(kept, out, indent=1)
        os.replace(name, file)
    except OSError:
        return
