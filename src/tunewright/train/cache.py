"""The cache of frozen activations: what does not change is computed once, and outlives a kill.

An array lies in a file that is named by a digest of all that it depends on, so it is never stale, and by a digest of
its bytes, so one that is half written or damaged is known as such. It holds what was derived from the customer's rows:
it stays in the run's own folder and goes when a bundle is released.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import tempfile
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tunewright.backbones._catalogue import Found
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core.run import Run
from tunewright.core.types import Array, Modality, Ragged, Windows

MEMORY_BYTES = 512 * 2**20
"""A larger array stays on disk, and its file is mapped."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Write = Callable[[int, Array], None]
"""(at, rows) → puts rows (r, ...) into the array from row ``at`` on"""


class Cache:
    """Arrays by the digest of what they depend on.

    about : JSON values that every array here depends on: the backbone and its modality
    """

    def __init__(self, folder: Path, run: Run, about: Mapping[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self._run = run
        self._full = False

    def array(self, key: Mapping[str, Any], make: Callable[[], Array]) -> Array:
        """An array that is held in memory, whatever its size."""
        name = self._name(key)
        found = self._read(name)
        if found is not None:
            return np.array(found) if isinstance(found, np.memmap) else found
        made = make()
        self._keep(name, made.shape, made.dtype, lambda write: write(0, made))
        return made

    def filled(
        self, key: Mapping[str, Any], shape: tuple[int, ...], dtype: DTypeLike, fill: Callable[[Write], None]
    ) -> Array | None:
        """An array that is filled piece by piece, mapped from its file above ``MEMORY_BYTES``.

        Returns
        -------
        None where it does not fit into memory and the disk has no room for it.
        """
        name, kind = self._name(key), np.dtype(dtype)
        found = self._read(name)
        if found is not None:
            return found
        if int(np.prod(shape, dtype=np.int64)) * kind.itemsize > MEMORY_BYTES:
            path = self._keep(name, shape, kind, fill)
            return None if path is None else _opened(path)
        out = np.empty(shape, kind)
        fill(lambda at, rows: out.__setitem__(slice(at, at + len(rows)), rows))
        self._keep(name, shape, kind, lambda write: write(0, out))
        return out

    def _name(self, key: Mapping[str, Any]) -> str:
        return hashlib.sha256(json.dumps([self.about, key], sort_keys=True).encode()).hexdigest()[:32]

    def _read(self, name: str) -> Array | None:
        """The array of this name, if its file is whole; a damaged one is told of and removed."""
        for path in self.folder.glob(f"{name}-*.npy"):
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if path.stem.partition("-")[2] == digest[:16]:
                return _opened(path)
            self._run.log("damaged", say=f"{path}: the cached activations are damaged; they are computed again")
            path.unlink()
        return None

    def _keep(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Callable[[Write], None]
    ) -> Path | None:
        """Write a file and rename it when it is whole; None where the disk is full."""
        if self._full:
            return None
        # Several processes may fill one cache: the first to end leaves the file, and removes what the others began.
        partial = self.folder / f"{name}.{uuid.uuid4().hex[:8]}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            digest = _written(partial, shape, dtype, fill)
            path = self.folder / f"{name}-{digest[:16]}.npy"
            os.replace(partial, path)
            for other in self.folder.glob(f"{name}*.partial"):
                other.unlink(missing_ok=True)
        except BaseException as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            ended = next(self.folder.glob(f"{name}-*.npy"), None)
            if isinstance(error, FileNotFoundError) and ended is not None:
                return ended
            if not isinstance(error, OSError) or error.errno not in FULL:
                raise
            self._full = True
            self._run.log("uncached", say=f"{self.folder}: the disk is full; going on without a cache of activations")
            return None
        return path


def about(backbone: LoadedBackbone, found: Found) -> dict[str, Any]:
    """What all frozen activations of a backbone depend on: its weights, its measures, its tokenizer or preprocessor."""
    weights = found.digest or _digest(*(one.numpy(force=True) for one in backbone.encoder.state_dict().values()))
    return {"weights": weights, "config": backbone.config, "modality": _settings(backbone.modality)}


def digest_of(windows: Windows) -> str:
    """sha256 over all that the modality made of the rows."""
    parts: list[Array] = [np.array(windows.rows), windows.owner, windows.cost]
    for name, values in sorted(windows.data.items()):
        parts += [np.array(name), *([values.values, values.starts] if isinstance(values, Ragged) else [values])]
    return _digest(*parts)


def let_go(values: Array) -> None:
    """Pages of a mapped file that were read stop counting as memory of the process; they stay in the system's cache."""
    pages: Any = values.base
    if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def _settings(modality: Modality) -> list[Any]:
    """What a modality would be loaded from: its settings, and the digests of its files."""
    with tempfile.TemporaryDirectory() as folder:
        settings = modality.save(Path(folder))
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return [settings, *([path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in files)]


def _digest(*arrays: Array) -> str:
    digest = hashlib.sha256()
    for one in arrays:
        digest.update(f"{one.dtype.str}{one.shape}".encode())
        # The bytes of an array of objects are addresses.
        digest.update(repr(one.tolist()).encode() if one.dtype.hasobject else np.ascontiguousarray(one).data)
    return digest.hexdigest()


def _opened(path: Path) -> Array:
    mapped: Array = np.load(path, mmap_mode="r" if path.stat().st_size > MEMORY_BYTES else None, allow_pickle=False)
    return mapped


def _written(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Callable[[Write], None]) -> str:
    """Write numpy's own format, rows in any order; returns the digest of the bytes.

    The file is written, not mapped, here: on a full disk a write is an error, a touched page ends the process.
    """
    row = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    with open(path, "w+b") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        first = file.tell()

        def write(at: int, rows: Array) -> None:
            file.seek(first + at * row)
            file.write(np.ascontiguousarray(rows, dtype).data)

        fill(write)
        file.truncate(first + shape[0] * row)
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()
