"""Safetensors files, read without the library: against the library, and what is damaged."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tunewright.core.errors import DamagedBundle
from tunewright.core.tensors import mapped, offsets


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    tensors = {
        "words": rng.integers(-128, 127, (7, 3)).astype(np.int8),
        "scales": rng.random(5).astype(np.float32),
        "one": np.array(2.5, np.float32),
    }
    save_file(tensors, tmp_path / "weights.safetensors", metadata={"by": "a test"})
    return tmp_path / "weights.safetensors"


def test_tensors_are_those_that_the_library_wrote(file: Path) -> None:
    from safetensors.numpy import load_file

    expected, found = load_file(file), mapped(file)
    assert found.keys() == expected.keys() == offsets(file).keys()
    for name, one in expected.items():
        assert found[name].dtype == one.dtype
        assert np.array_equal(found[name], one)
        begin, length = offsets(file)[name]
        assert file.read_bytes()[begin : begin + length] == one.tobytes()


def test_they_cannot_be_written_to(file: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        mapped(file)["words"][0] = 1


@pytest.mark.parametrize("change", [{"dtype": "BF16"}, {"shape": [100, 3]}, {"data_offsets": [0, 2]}])
def test_what_cannot_be_read_is_named(file: Path, change: dict[str, object]) -> None:
    raw = file.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header["words"] |= change
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])
    with pytest.raises(DamagedBundle, match=r"weights.safetensors: 'words' cannot be read"):
        mapped(file)
