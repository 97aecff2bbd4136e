"""What the processor can do that decides the speed of a model: its name, products of 8-bit numbers, bf16."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
INT8 = {
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "amx_int8": "AMX",
    "asimddp": "dot product",
    "i8mm": "I8MM",
}
BF16 = {"avx512_bf16": "AVX-512 BF16", "amx_bf16": "AMX", "bf16": "BF16"}


@dataclass(frozen=True)
class Processor:
    """int8, bf16 : the instructions for such products, in words; empty = none, None = the system does not tell."""

    name: str
    int8: str | None
    bf16: str | None


def processor(file: Path | None = None) -> Processor:
    """This machine's, by what Linux tells of the first one."""
    told: dict[str, str] = {}
    try:
        with open(file or CPUINFO, encoding="utf-8") as lines:
            for line in lines:
                name, colon, value = line.partition(":")
                if not colon:  # what follows is the next processor; machines have hundreds
                    break
                told[name.strip().lower()] = value.strip()
    except OSError:
        return Processor(platform.processor() or platform.machine(), None, None)
    flags = set((told.get("flags") or told.get("features") or "").split())
    name = told.get("model name") or platform.machine()
    return Processor(name, *(", ".join(said for flag, said in all_.items() if flag in flags) for all_ in (INT8, BF16)))


def overflows() -> bool:
    """Whether products of 8-bit numbers may overflow here: a processor that is known to have no instruction for them.

    It adds two products into 16 bits. ARM processors without one are told so, too, but lose nothing by it.
    """
    return processor().int8 == ""
