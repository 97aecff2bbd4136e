"""A bundle's network with weights that are drawn anew: what knows nothing of what was learnt."""

from __future__ import annotations

import tempfile
import zlib
from pathlib import Path

import numpy as np

from tunewright.core.bundle import ENCODER
from tunewright.core.errors import TunewrightError
from tunewright.core.tensors import header
from tunewright.core.types import Array
from tunewright.runtime.encoder import Encoder
from tunewright.runtime.graphs import Graph
from tunewright.runtime.network import Network
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.threads import available
from tunewright.runtime.updates import Updated, Updates, read, write

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
"""Of the tensors that are drawn anew; others, such as those of whole numbers, stay."""


def redrawn(predictor: Predictor, seed: int) -> Predictor:
    """The same bundle, every stored tensor of its graphs drawn anew; calibration and pooling stay.

    Raises
    ------
    TunewrightError
        The bundle's graphs hold their tensors themselves.

    Source: Adebayo et al. 2018, Sanity Checks for Saliency Maps (model parameter randomization).
    """
    folder, manifest = getattr(predictor, "folder", None), predictor.manifest
    if folder is None:
        raise TunewrightError("the model is no bundle at hand", "name a bundle's folder")
    if not any(part.data for part in manifest.parts.values()):
        raise TunewrightError("the model's weights do not stand apart from its graphs", "ask a bundle that `fit` wrote")
    graphs = {}
    for name, part in manifest.parts.items():
        graph = (folder / part.file).read_bytes()
        tensors = {one: value for data in part.data for one, value in _drawn(folder / data, graph, seed).items()}
        graphs[name] = Graph(folder / part.file, available(), spin=name.startswith(ENCODER), tensors=tensors)
    lower, *above = manifest.encoder
    upper = [_updated(graphs[name], folder, manifest.parts[name].updates, seed) for name in above]
    heads = {name: graphs[name] for name in manifest.heads}
    return predictor.computed_by(
        Network(Encoder(predictor.modality, graphs[lower]), heads, upper[0] if upper else None)
    )


def reads(graph: bytes, name: str) -> bool:
    """Whether a graph reads a tensor of this name; small ones that it needs a row of are constants of its own.

    graph : an ONNX file, in which a tensor's name stands behind the tag of its field and its length
    """
    told, length = name.encode(), len(name.encode())
    size = bytes([length]) if length < 128 else bytes([length % 128 + 128, length // 128])
    return b"\x42" + size + told in graph


def drawn_like(values: Array, name: str, seed: int) -> Array:
    """A tensor of the same shape and type, normal, with the mean and the standard deviation of ``values``.

    name : of the tensor; each has draws of its own
    """
    draw = np.random.default_rng([seed, zlib.crc32(name.encode())])
    mean, spread = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    normal = draw.standard_normal(values.shape, np.float32)
    return np.asarray(normal * np.float32(spread) + np.float32(mean), values.dtype)


def _updated(graph: Graph, folder: Path, file: str, seed: int) -> Graph | Updated:
    """The graph with updates that are drawn anew, where it has some."""
    if not file:
        return graph
    drawn = {name: drawn_like(value, name, seed) for name, value in read(folder / file).items()}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:  # once it is mapped, the file may go
        write(drawn, Path(place) / "drawn")
        return Updated(graph, Updates(Path(place) / "drawn"))


def _drawn(path: Path, graph: bytes, seed: int) -> dict[str, Array]:
    """The floating tensors of a safetensors file that the graph reads, drawn anew."""
    first, entries = header(path)
    out = {}
    for name, entry in entries.items():
        if entry["dtype"] in TYPES and reads(graph, name):
            shape, begin = tuple(entry["shape"]), first + entry["data_offsets"][0]
            values = np.memmap(path, TYPES[entry["dtype"]], "r", begin, shape) if 0 not in shape else np.zeros(shape)
            out[name] = drawn_like(values, name, seed)
    return out
