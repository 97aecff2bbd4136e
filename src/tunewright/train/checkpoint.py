"""Checkpoints: the state of a training on disk, whole or not at all, so that a kill at any moment costs little.

A file is laid out as safetensors and bears the digest of its bytes in its name: one that is half written or damaged is
known as such and the one before it is taken. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunewright.core.run import Run, megabytes_free

KEPT = 2
"""The newest one, and one to fall back to."""
SECONDS = 30.0
"""Between two checkpoints of a training, at the least."""
SHARE = 0.02
"""Of the time that may go into writing them: where one takes long they become rarer."""
DTYPES = {torch.float32: "F32", torch.uint8: "U8", torch.int64: "I64", torch.bfloat16: "BF16", torch.float16: "F16"}


class Checkpoints:
    """The checkpoints of one training in a folder of its own; one is written when it is ``due``."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder = folder
        self._run = run
        self._written = time.monotonic()
        self._cost = 0.0
        self._told = False

    @property
    def due(self) -> bool:
        """Whether what a kill would cost by now is worth what a checkpoint costs."""
        return time.monotonic() - self._written >= max(SECONDS, self._cost / SHARE)

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Write one, then let go of those that are not needed any more.

        Where there is no room for it that is said once, and those that are complete stay.

        facts : JSON values that belong to the tensors
        """
        begun, partial = time.monotonic(), self.folder / "partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            digest = _write(partial, tensors, facts)
            os.replace(partial, self.folder / f"{self._newest() + 1:06d}-{digest}.safetensors")
            for old in self._files()[KEPT:]:
                old.unlink()
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            self._tell(error)
        self._written = time.monotonic()
        self._cost = self._written - begun

    def latest(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and facts of the newest one that is whole; damaged ones are told of and removed."""
        files = self._files()
        for path in files:
            if _whole(path):
                return _read(path)
            self._run.log("damaged", say=f"{path}: this checkpoint is damaged and not used")
            with suppress(OSError):
                path.unlink()
        if files:
            self._run.log("damaged", say="no checkpoint is left that is whole: the training begins anew")
        return None

    def _files(self) -> list[Path]:
        """Newest first."""
        return sorted(self.folder.glob("*-*.safetensors"), reverse=True)

    def _newest(self) -> int:
        return max((int(path.name.partition("-")[0]) for path in self._files()), default=0)

    def _tell(self, error: OSError) -> None:
        if self._told:
            return
        self._told = True
        why = f"{self.folder}: no checkpoint could be written: {error.strerror}"
        said = f"{why} ({megabytes_free(self._run.folder)} MB free); training goes on, and what is complete stays"
        self._run.log("unkept", say=said)


def _whole(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return False
    return path.stem.partition("-")[2] == digest


def _write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    """Write safetensors piece by piece (the library would copy everything first); returns the digest of the bytes."""
    header: dict[str, Any] = {"__metadata__": {"facts": json.dumps(facts, default=float)}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for head in (len(text).to_bytes(8, "little"), text):
            file.write(head)
            digest.update(head)
        for tensor in tensors.values():
            raw = _bytes(tensor.detach().cpu().contiguous())
            file.write(raw)
            digest.update(raw)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors in memory of their own, aligned as all others: on a mapped file's the last bits of sums may differ."""
    dtypes = {name: dtype for dtype, name in DTYPES.items()}
    tensors = {}
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        facts = json.loads(header.pop("__metadata__")["facts"])
        for name, entry in header.items():
            tensors[name] = torch.empty(entry["shape"], dtype=dtypes[entry["dtype"]])
            file.readinto(_bytes(tensors[name]))
    return tensors, facts


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def named(key: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint under one key, by the names of the parameters."""
    return {name.removeprefix(f"{key}."): one for name, one in tensors.items() if name.startswith(f"{key}.")}
