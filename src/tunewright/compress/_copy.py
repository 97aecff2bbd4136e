"""A copy of a bundle that steps change: its graphs with their tensors inside, its manifest, what was noted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from tunewright.compress._layers import layers_of, tensors_of
from tunewright.core.bundle import Manifest, Part, read_manifest, verify, write_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.tensors import offsets
from tunewright.core.types import Array

if TYPE_CHECKING:
    from tunewright.compress._lessons import Lessons

OUTSIDE = 1024
"""Bytes from which on a tensor stands in ``weights/`` and not in its graph."""
TOLD = ("report.*", "card.*")
"""What tells of the bundle that was copied, and not of the copy."""


@dataclass
class Copy:
    """A bundle's files in a folder of their own.

    columns : one list of texts per input column, for steps that read texts
    notes : what a step left as it was, or what it counted
    lessons : rows for steps that learn
    """

    folder: Path
    manifest: Manifest
    columns: Sequence[Sequence[Any]] = ()
    notes: list[str] = field(default_factory=list)
    lessons: Lessons | None = None

    @classmethod
    def of(
        cls, bundle: Path, folder: Path, columns: Sequence[Sequence[Any]] = (), lessons: Lessons | None = None
    ) -> Copy:
        """Copy a bundle, after every file of it was compared with its digest.

        Raises
        ------
        TunewrightError
            There is no bundle, a file of it is damaged, or it is compressed already.
        """
        manifest = read_manifest(bundle)
        verify(bundle, manifest)
        done = manifest.method.get("compressed")
        if done:
            steps, origin = ", ".join(one["step"] for one in done), done[0]["from"]
            raise TunewrightError(
                f"{bundle}: it is compressed already ({steps}, from {origin[:19]})",
                'compress the bundle that it was made from; several steps go together: --to "vocabulary,int8"',
            )
        shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns(*TOLD))
        return cls(folder, manifest, columns, lessons=lessons)

    def again(self, folder: Path) -> Copy:
        """A copy of the copy, without its notes."""
        shutil.copytree(self.folder, folder)
        return Copy(folder, self.manifest, self.columns, lessons=self.lessons)

    def graph(self, part: str) -> onnx.ModelProto:
        """A part's graph, its tensors inside."""
        return onnx.load(self.folder / self.manifest.parts[part].file)

    def tensors(self, part: str) -> dict[str, Array]:
        """A part's tensors, those that stand in its graph too."""
        return {one.name: numpy_helper.to_array(one) for one in self.graph(part).graph.initializer}

    def beside(self, part: str) -> dict[str, Array]:
        """The tensors in the files beside a part's graph."""
        return {
            name: one for data in self.manifest.parts[part].data for name, one in load_file(self.folder / data).items()
        }

    def put(self, part: str, model: onnx.ModelProto, *, unread: bool = False) -> None:
        """Write a part's graph anew, its larger tensors beside it; files that no part needs any more go.

        unread : keep the tensors that stand beside the old graph without being read by it
        """
        old = self.manifest.parts[part]
        tensors = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
        layers = layers_of(model)
        named = set(tensors_of(layers)) if layers else set()
        outside = {name: one for name, one in tensors.items() if one.nbytes >= OUTSIDE or name in named}
        if unread:  # the file has the whole network, small tensors and those that were folded into the graph too
            # and no constant of the graph, which is no tensor of the network
            outside = {name: tensors.get(name, one) for name, one in self.beside(part).items()} or outside
        data = self._stored(part, outside) if outside else ""
        if data:
            _point_at(model.graph, self.folder / data, data)
        file = self._written(part, model.SerializeToString(deterministic=True), "onnx")
        told = self._written(part, json.dumps(layers).encode(), "layers.json") if layers else ""
        parts = self.manifest.parts | {part: Part("onnx", file, (data,) if data else (), old.updates, told)}
        needed = {path for one in parts.values() for path in one.files}
        for path in {*old.files} - needed:
            (self.folder / path).unlink()
        self.manifest = replace(self.manifest, parts=parts)

    def _written(self, part: str, content: bytes, suffix: str) -> str:
        file = f"{part}-{hashlib.sha256(content).hexdigest()[:12]}.{suffix}"
        (self.folder / file).write_bytes(content)
        return file

    def _stored(self, part: str, tensors: dict[str, Array]) -> str:
        path = self.folder / "weights" / "unnamed.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({name: np.ascontiguousarray(one) for name, one in tensors.items()}, path)
        path.chmod(0o644)  # the library writes for the owner alone, but a service may run as another user
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        final = f"weights/{part}-{digest[:12]}.safetensors"
        path.rename(self.folder / final)
        return final

    def sealed(self, step: str, setting: str, origin: str) -> Manifest:
        """The manifest of the copy as it is now, with what was done to it; its metrics are gone until it is judged."""
        done = {"step": step, "setting": setting, "from": origin, "notes": list(self.notes)}
        method = self.manifest.method | {"compressed": [*self.manifest.method.get("compressed", ()), done]}
        self.manifest = write_manifest(self.folder, replace(self.manifest, method=method, metrics={}))
        return self.manifest


def _point_at(graph: onnx.GraphProto, path: Path, data: str) -> None:
    """Let every initializer that stands in the safetensors file read its bytes from there."""
    places = offsets(path)
    for tensor in graph.initializer:
        if tensor.name in places:
            begin, length = places[tensor.name]
            for kind in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(kind)
            del tensor.external_data[:]
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in (("location", data), ("offset", begin), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
