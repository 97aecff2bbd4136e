"""What Linux tells of a processor, from files made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.runtime.processor import Processor, processor


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "processor : 0\nmodel name : EPYC\nflags : fpu avx2 avx512_vnni avx512_bf16\n\nprocessor : 1\nflags : x\n",
            Processor("EPYC", "AVX-512 VNNI", "AVX-512 BF16"),
        ),
        ("model name : Old\nflags : fpu sse2 avx2\n", Processor("Old", "", "")),
        ("model name : New\nflags : avx_vnni amx_int8 amx_bf16\n", Processor("New", "AVX VNNI, AMX", "AMX")),
    ],
)
def test_instructions_are_named(tmp_path: Path, text: str, found: Processor) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(text, encoding="utf-8")
    assert processor(file) == found


def test_an_arm_processor_has_features_and_no_name(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nFeatures\t: fp asimd asimddp bf16 i8mm\n", encoding="utf-8")
    told = processor(file)
    assert (told.int8, told.bf16) == ("dot product, I8MM", "BF16")
    assert told.name


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    told = processor(tmp_path / "none")
    assert (told.int8, told.bf16) == (None, None)
