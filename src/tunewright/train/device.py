"""Where and in which arithmetic training computes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit
from tunewright.runtime.threads import available

# Every shape of a batch makes kernels of its own, and oneDNN would keep 1,024 of them: hundreds of megabytes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


def choose(fit: Fit, cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[torch.device, bool]:
    """The device, and whether gradients are computed in bf16."""
    cuda = torch.cuda.is_available()
    if fit.device not in ("auto", "cpu", "cuda"):
        raise TunewrightError(f"fit.device = {fit.device!r} is not known", "use auto, cpu or cuda")
    if fit.device == "cuda" and not cuda:
        raise TunewrightError("fit.device = 'cuda', but torch finds no GPU", "use --set fit.device=auto")
    device = torch.device("cuda" if cuda and fit.device != "cpu" else "cpu")
    native = torch.cuda.is_bf16_supported() if device.type == "cuda" else native_bf16(cpuinfo)
    return device, fit.precision == "bf16" or (fit.precision == "auto" and native)


def native_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bf16 by itself (AVX-512 BF16 or AMX); where it does not, bf16 is slower."""
    try:
        flags = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


@contextmanager
def threads(count: int) -> Iterator[int]:
    """Run torch and the linear algebra of scipy on ``count`` threads (0 = what the quota allows)."""
    before, chosen = torch.get_num_threads(), min(count or available(), available())
    torch.set_num_threads(chosen)
    try:
        with threadpool_limits(chosen, user_api="blas"):
            yield chosen
    finally:
        torch.set_num_threads(before)


def give_back() -> None:
    """Return freed memory to the system, where the C library can be asked to.

    Batches have many shapes, and between their tensors the allocator keeps pages that fit no later one: a fit on
    Banking77 grew by a gigabyte in 140 steps.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def exact() -> Iterator[None]:
    """fp32 products in fp32, whatever the caller's settings."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def fast(device: torch.device, bf16: bool) -> Iterator[None]:
    """The arithmetic of a gradient step: bf16 products where ``bf16``, else fp32 through the faster library."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
