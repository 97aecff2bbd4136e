"""A trial before any training: can an encoder that is not our own be exported, and does its graph say the same?"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunewright.backbones._catalogue import Found
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.types import Array
from tunewright.runtime.graphs import Graph
from tunewright.train.export import TOLERANCE, export

ROWS = 8
"""Rows that the graph is tried on."""
TRIED: set[str] = set()
"""Digests of the backbones that this process has tried."""


def try_export(backbone: LoadedBackbone, found: Found, columns: Sequence[Sequence[Any]], run: Run) -> None:
    """Export the encoder as it is, once in a process, and compare its graph with it on a few rows.

    columns : one list of raw values per input column

    Raises
    ------
    TunewrightError
        The graph cannot be made, or differs.
    """
    if found.digest and found.digest in TRIED:
        return
    run.log("trial", say=f"{found.name}: trying the export of its encoder before any training")
    windows = backbone.modality.windows([values[:ROWS] for values in columns])
    batches = [backbone.modality.batch(windows, index) for index in (np.arange(len(windows)), np.arange(1))]
    try:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            parts = export(place, backbone.modality_name, backbone.modality, windows, backbone.encoder, {})
            graph = Graph(place / parts[f"encoder.{backbone.modality_name}"].file, threads=1)
            off = max(_difference(backbone, graph, arrays) for arrays in batches)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the exporter and the runtime raise whatever their parts do
        raise _refused(
            backbone, found, f"cannot be exported: {type(error).__name__}: {error}".splitlines()[0]
        ) from None
    if not off <= TOLERANCE:
        raise _refused(backbone, found, f"is another one once exported: its states differ by {off:.1e} of their spread")
    TRIED.add(found.digest)


def _difference(backbone: LoadedBackbone, graph: Graph, arrays: dict[str, Array]) -> float:
    """The largest difference of the states of real steps, as a part of their spread."""
    with torch.no_grad():
        states, mask = backbone.encoder(**{name: torch.from_numpy(value) for name, value in arrays.items()})
    real = mask.numpy() > 0
    own, theirs = states.numpy()[real], graph(arrays)["states"][real]
    return float(np.abs(own - theirs).max() / (own.std() or 1.0))


def _refused(backbone: LoadedBackbone, found: Found, why: str) -> TunewrightError:
    kind = backbone.config.get("model_type", backbone.family)
    return TunewrightError(
        f"backbone {found.name!r} ({kind}) {why}", "choose another backbone; nothing was trained with this one"
    )
