"""What goes to another process and comes back: files in the folder of the run, known by the digest of their bytes."""

from __future__ import annotations

import hashlib
import pickle
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from ray import cloudpickle

from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run

_RUN: ContextVar[Run] = ContextVar("run")
"""The run that stands in for the sender's while a parcel is opened."""


@dataclass(frozen=True)
class Parcel:
    """A file, and the sha256 that its receiver was told another way: nothing else is ever unpickled."""

    path: Path
    digest: str


def pack(path: Path, value: Any) -> Parcel:
    """Write values, functions and modules; tensors that share memory still do so when they arrive.

    A run stays at home. An array that is mapped from a file is mapped from it again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    module = SimpleNamespace(__name__=__name__, Pickler=_Pickler)
    with open(path, "wb") as file:  # whose errors are Python's own: a full disk is known as one
        torch.save(value, file, pickle_module=module, pickle_protocol=pickle.HIGHEST_PROTOCOL)
    return Parcel(path, _digest(path))


def opened(parcel: Parcel, run: Run) -> Any:
    """What was packed, with ``run`` in the place of the sender's.

    Raises
    ------
    TunewrightError
        The file is not here, or it is another one.
    """
    try:
        found = _digest(parcel.path)
    except OSError:
        found = ""
    if found != parcel.digest:
        problem = f"{parcel.path}: a worker does not find there what the command wrote"
        raise TunewrightError(problem, "choose an --out in a folder that all machines of the cluster share")
    before = _RUN.set(run)
    try:
        return torch.load(parcel.path, weights_only=False)
    finally:
        _RUN.reset(before)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Functions by value, as cloudpickle writes them."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Run):
            return _run_here, ()
        if isinstance(value, np.memmap) and _is_whole(value):
            return _mapped, (str(value.filename),)
        return super().reducer_override(value)


def _run_here() -> Run:
    return _RUN.get()


def _is_whole(value: Any) -> bool:
    """Whether an array is all that its file holds."""
    path = Path(value.filename)
    return path.suffix == ".npy" and path.stat().st_size == value.offset + value.nbytes


def _mapped(path: str) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
