"""Tables of words as 8-bit numbers with a scale for each row; matrices stay. For size alone: it changes answers least.

Where `int8` changes too many answers, the ranges of activations are mostly to blame, and this step does not touch them.
With `fp16` behind it a bundle has one byte for each number of its tables and two for all others.
"""

from __future__ import annotations

import onnx

from tunewright.compress._copy import Copy
from tunewright.compress.int8 import left_in_fp32, tables_as_int8
from tunewright.core.errors import TunewrightError

SETTINGS = ("a scale per row",)


def run(copy: Copy, setting: str) -> None:
    """Change the tables of every part.

    Raises
    ------
    TunewrightError
        There is no table of words, or it is in fp16 already.
    """
    changed = 0
    for part in copy.manifest.parts:
        model = copy.graph(part)
        if any(one.data_type == onnx.TensorProto.FLOAT16 for one in model.graph.initializer):
            raise TunewrightError("int8_words stands after fp16", 'put it first: --to "int8_words,fp16"')
        tables = tables_as_int8(model)
        if tables:
            changed += tables
            copy.notes += [f"{part}: {tables} tables in int8", *left_in_fp32(part, model)]
            copy.put(part, model)
    if not changed:
        raise TunewrightError("this bundle has no table of words in fp32", "leave int8_words out, or try --to fp16")
