"""The parts of a bundle, loaded by their content: each file is compared with its digest at the moment it is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from tunewright.core import plugins
from tunewright.core.bundle import Manifest, present, verify
from tunewright.core.types import Kind, Modality
from tunewright.runtime import native
from tunewright.runtime.encoder import Encoder, Upper
from tunewright.runtime.fastest import Encodes, fastest
from tunewright.runtime.graphs import Graph
from tunewright.runtime.layers import Layers
from tunewright.runtime.network import Network
from tunewright.runtime.scope import Scope
from tunewright.runtime.shelf import Shelf
from tunewright.runtime.updates import Updated, Updates

Loaded = TypeVar("Loaded")


class Parts:
    """Where the parts of one bundle come from: its folder, or the shelf, if another bundle has brought the same there.

    Of files that are not read, because the shelf has their content, only presence and size are looked at.

    alone : no other bundle is computed beside this one, so the encoder's threads may wait for work in a loop, see
        ``Graph``; a service, whose bundles are not alone, measures what computes fastest, see ``fastest``
    """

    def __init__(self, folder: Path, manifest: Manifest, threads: int, shelf: Shelf, *, alone: bool) -> None:
        self._folder = folder
        self._manifest = manifest
        self._threads = threads
        self._shelf = shelf
        self._alone = alone
        self._verified: set[str] = set()

    def network(self) -> Network:
        """All graphs. Heads are small: a thread of their own would wait longer than it works."""
        heads = {name: self._graph(name, 1) for name in self._manifest.heads}
        return Network(self.encoder(), heads, self.upper())

    def kinds(self) -> dict[str, Kind]:
        """Target → its kind."""
        told = self._manifest.targets
        return {one["name"]: plugins.load("kinds", one["kind"]).load(one["spec"]) for one in told}

    def encoder(self) -> Encoder:
        """The one encoder, with its modality; of one in two parts the lower one."""
        (name,) = set(self._manifest.inputs.values())
        part = self._manifest.encoder[0]
        settings, own = self._manifest.modalities[name], f"modality/{name}/"
        files = [path for path in self._manifest.files if path.startswith(own)]

        def read() -> Modality:
            modality: Modality = plugins.load("modalities", name).load(settings, self._folder / own)
            return modality

        words = self._content(files, "modality", name, json.dumps(settings, sort_keys=True))
        graph = self._content(self._files(part), self._threads, native.usable())
        present(self._folder, self._manifest, [*files, *self._files(part)])
        return self._shelf.take(
            ("encoder", words, graph), lambda: Encoder(self._take(words, files, read), self._fastest(part))
        )

    def upper(self) -> Upper:
        """The upper part of an encoder in two parts: of this bundle alone, or shared, but for updates of its own."""
        _, *above = self._manifest.encoder
        return self._updated(above[0]) if above else None

    def scopes(self) -> dict[str, Scope]:
        """Target → detector of strange rows, where it has one."""
        told = {one["name"]: one["spec"]["scope"] for one in self._manifest.targets if "scope" in one["spec"]}
        verify(self._folder, self._manifest, [one["file"] for one in told.values() if one.get("file")])
        return {name: Scope.load(one, self._folder) for name, one in told.items()}

    def _updated(self, name: str) -> Graph | Updated:
        graph, file = self._layers(name), self._manifest.parts[name].updates
        if not file:
            return graph
        path = self._folder / file
        return Updated(graph, self._take(self._content([file], "updates"), [file], lambda: Updates(path)))

    def _fastest(self, name: str) -> Encodes:
        """The encoder, or the lower part of it, by its graph or by native code."""
        described = self._manifest.parts[name].layers
        if not described or not native.usable():
            return self._layers(name)
        files = [*self._files(name), described]
        content = self._content(files, "fastest", self._threads)

        def choose() -> Encodes:
            layers = Layers.load(self._folder / described, [self._folder / one for one in files[1:-1]])
            if not native.fits(layers):
                return self._layers(name)
            made = partial(native.NativeEncoder, layers, self._threads)
            own = partial(self._layers, name)
            return fastest(content, own, made, len(layers.words.rows), measure=not self._alone)

        return self._take(content, files, choose)

    def _layers(self, name: str) -> Graph:
        """A part of the encoder. Of two the larger may spin: its file, without weights, grows with its layers."""
        sizes = {
            one: self._manifest.files[self._manifest.parts[one].file]["size_bytes"] for one in self._manifest.encoder
        }
        return self._graph(name, self._threads, spin=self._alone and sizes[name] == max(sizes.values()))

    def _graph(self, name: str, threads: int, *, spin: bool = False) -> Graph:
        files = self._files(name)
        path = self._folder / self._manifest.parts[name].file
        return self._take(self._content(files, "graph", threads), files, lambda: Graph(path, threads, spin=spin))

    def _files(self, part: str) -> list[str]:
        told = self._manifest.parts[part]
        return [told.file, *told.data]  # updates have a content of their own

    def _content(self, files: Iterable[str], *settings: Hashable) -> Hashable:
        return *settings, *(self._manifest.files[path]["sha256"] for path in files)

    def _take(self, content: Hashable, files: list[str], make: Callable[[], Loaded]) -> Loaded:
        present(self._folder, self._manifest, files)

        def checked() -> Loaded:
            verify(self._folder, self._manifest, set(files) - self._verified)
            self._verified.update(files)
            return make()

        return self._shelf.take(content, checked)
