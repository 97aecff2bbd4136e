"""Where tensors stand in a safetensors file: a JSON header behind its length, then their bytes."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.errors import DamagedBundle
from tunewright.core.types import Array

TYPES = {"F32": np.float32, "F16": np.float16, "I8": np.int8, "U8": np.uint8, "I32": np.int32, "I64": np.int64}


def offsets(path: Path) -> dict[str, tuple[int, int]]:
    """Tensor → where its bytes begin in the file, and how many there are."""
    begin, header = _header(path)
    spans = {name: entry["data_offsets"] for name, entry in header.items()}
    return {name: (begin + first, last - first) for name, (first, last) in spans.items()}


def mapped(path: Path) -> dict[str, Array]:
    """Tensor → its values, mapped into memory: a page is read when it is first looked at. Read only.

    Raises
    ------
    DamagedBundle
        A tensor is of a type that none of ours has, or its bytes are not there.
    """
    begin, header = _header(path)
    raw = np.memmap(path, np.uint8, "r")
    out: dict[str, Array] = {}
    for name, entry in header.items():
        first, last = (begin + one for one in entry["data_offsets"])
        try:
            out[name] = np.ndarray(tuple(entry["shape"]), TYPES[entry["dtype"]], raw[first:last], strides=None)
        except (KeyError, TypeError, ValueError):
            raise DamagedBundle(f"{path}: {name!r} cannot be read", "copy the bundle again, or fit it anew") from None
    return out


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the bytes of tensors begin, and the entry of each."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return 8 + length, header
