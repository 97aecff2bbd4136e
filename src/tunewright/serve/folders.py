"""Folders of bundles: loaded at the start, looked at again when told, and never a reason for a service to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunewright.core.bundle import MANIFEST, read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.plugins import reads
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf
from tunewright.serve.registry import Registry

log = logging.getLogger("tunewright.serve")


@dataclass(frozen=True)
class Place:
    """Under which name a folder's bundle is served, and the digest of what was loaded."""

    name: str
    digest: str


class Folders:
    """The bundles of some folders, in a registry that follows the folders when ``reread`` is called.

    Parameters
    ----------
    bundles : folders that hold a bundle each
    parent : a folder of such folders; those that appear in it later are found by ``reread``
    threads : of one pass; 0 = what the container's CPU quota allows

    Raises
    ------
    TunewrightError
        A bundle cannot be loaded, two have one name, or there is none.
    """

    def __init__(self, bundles: Sequence[Path], parent: Path | None = None, threads: int = 0) -> None:
        self.shelf = Shelf()
        self._threads = threads
        self._bundles = tuple(bundles)
        self._parent = parent
        self._places: dict[Path, Place] = {}
        self._lock = threading.Lock()  # one reread at a time
        if parent is not None and not parent.is_dir():
            raise TunewrightError(f"{parent}: there is no such folder", "name a folder of folders that `fit` wrote")
        found = {}
        for folder in self._found():
            name = read_manifest(folder).name
            self._check_name(name, folder)
            found[name] = predictor = self._load(folder)
            self._places[folder] = Place(name, predictor.manifest.digest)
        self.registry = Registry(found)

    def reread(self) -> None:
        """Serve what has changed: bundles in the place of others, and new ones; the log says what was done.

        What cannot be loaded is refused, and what was served goes on. So does a bundle whose folder is gone: to serve
        it no longer, call ``unload``. A bundle keeps the name that it was first served by.
        """
        with self._lock:
            gone = [folder for folder in self._places if not (folder / MANIFEST).exists()]
            for folder in gone:
                log.warning(f"{folder} is gone; {self._places[folder].name} goes on with what is loaded")
            unchanged = sum(not self._try(folder) for folder in self._found() if folder not in gone)
            log.info(f"reread: {len(self.registry.served)} bundles, {unchanged} of them as they were")

    def _try(self, folder: Path) -> bool:
        try:
            return self._take(folder)
        except Exception as error:  # whatever it is: what is served must not suffer
            old = self._places.get(folder)
            goes_on = f"; {old.name} goes on with {old.digest[:19]}" if old else ""
            log.error(f"not loaded{goes_on}: {folder}: {error}")
            return False

    def unload(self, name: str) -> None:
        """Serve a bundle no longer; where its folder stays, the next ``reread`` loads it again.

        Raises
        ------
        Refusal
            There is no such bundle, or it is the last one.
        """
        with self._lock:
            self.registry.remove(name)
            self._places = {folder: place for folder, place in self._places.items() if place.name != name}
        log.info(f"unloaded {name}")

    def _take(self, folder: Path) -> bool:
        """Serve a folder's bundle if it is another than the one that is served; whether it is."""
        manifest, old = read_manifest(folder), self._places.get(folder)
        if old is not None and old.digest == manifest.digest:
            return False
        if old is None:
            self._check_name(manifest.name, folder)
        name, predictor = old.name if old else manifest.name, self._load(folder)
        self.registry.put(name, predictor)
        self._places[folder] = Place(name, predictor.manifest.digest)
        log.info(f"{'switched' if old else 'loaded'} {name}: {predictor.manifest.digest[:19]}")
        return True

    def _load(self, folder: Path) -> Predictor:
        predictor = Predictor.load(folder, self._threads, self.shelf)
        inputs = predictor.manifest.inputs
        if all(reads(modality) == "text" for modality in inputs.values()):
            predictor.answers([dict.fromkeys(inputs, "warm up")])  # or the first callers would wait for it
        return predictor

    def _check_name(self, name: str, folder: Path) -> None:
        for other, place in self._places.items():
            if place.name == name:
                raise TunewrightError(
                    f"{other} and {folder} are both named {name!r}",
                    "serve one of them, or fit one under another name",
                )

    def _found(self) -> Iterator[Path]:
        yield from self._bundles
        if self._parent is not None:
            yield from sorted(path.parent for path in self._parent.glob(f"*/{MANIFEST}"))
