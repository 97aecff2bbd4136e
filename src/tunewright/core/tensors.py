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
    begin, entries = header(path)
    spans = {name: entry["data_offsets"] for name, entry in entries.items()}
    return {name: (begin + first, last - first) for name, (first, last) in spans.items()}


def mapped(path: Path) -> dict[str, Array]:
    """Tensor → its values, mapped into memory: a page is read when it is first looked at. Read only.

    Raises
    ------
    DamagedBundle
        A tensor is of a type that none of ours has, or its bytes are not there.
    """
    begin, entries = header(path)
    raw = np.memmap(path, np.uint8, "r")
    out: dict[str, Array] = {}
    for name, entry in entries.items():
        first, last = (begin + one for one in entry["data_offsets"])
        try:
            out[name] = np.ndarray(tuple(entry["shape"]), TYPES[entry["dtype"]], raw[first:last])
        except (KeyError, TypeError, ValueError):
            raise DamagedBundle(f"{path}: {name!r} cannot be read", "copy the bundle again, or fit it anew") from None
    return out


def header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the bytes of tensors begin, and the entry of each: dtype, shape, data_offsets.

    Raises
    ------
    struct.error, ValueError, TypeError, AttributeError
        It is no such file.
    """
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entries: dict[str, Any] = json.loads(file.read(min(length, path.stat().st_size)))
    entries.pop("__metadata__", None)
    return 8 + length, entries
