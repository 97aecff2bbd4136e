"""Where training computes: threads that are given back, bf16 by the processor's flags, exact products."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit
from tunewright.runtime.threads import available
from tunewright.train.device import choose, exact, fast, native_bf16, threads


def blas() -> set[int]:
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_threads_are_set_for_torch_and_linear_algebra_and_given_back() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    before = torch.get_num_threads(), blas()
    with threads(1) as count:
        assert (count, torch.get_num_threads(), blas()) == (1, 1, {1})
    assert (torch.get_num_threads(), blas()) == before
    with threads(0) as count:
        assert count == available()
    with threads(10_000) as count:
        assert count == available()


@pytest.mark.parametrize(
    ("flags", "native"),
    [("fpu avx2 avx512f", False), ("fpu avx512_bf16", True), ("amx_bf16 amx_tile", True), ("avx512_bf16x", False)],
)
def test_bf16_is_used_where_the_processor_has_it(flags: str, native: bool, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor: 0\nflags\t\t: {flags}\n", encoding="utf-8")
    assert native_bf16(cpuinfo) is native
    assert choose(Fit(device="cpu"), cpuinfo) == (torch.device("cpu"), native)
    assert choose(Fit(device="cpu", precision="fp32"), cpuinfo)[1] is False
    assert choose(Fit(device="cpu", precision="bf16"), cpuinfo)[1] is True


def test_without_cpuinfo_it_is_fp32(tmp_path: Path) -> None:
    assert native_bf16(tmp_path / "missing") is False
    (tmp_path / "empty").write_text("", encoding="utf-8")
    assert native_bf16(tmp_path / "empty") is False


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TunewrightError, match="fit.device = 'tpu' is not known → use auto, cpu or cuda"):
        choose(Fit(device="tpu"))
    with pytest.raises(TunewrightError, match="torch finds no GPU → use --set fit.device=auto"):
        choose(Fit(device="cuda"))


def test_arithmetic_is_set_inside_and_given_back() -> None:
    before = torch.get_float32_matmul_precision()
    cpu = torch.device("cpu")
    with fast(cpu, True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with fast(cpu, False):
        assert torch.get_float32_matmul_precision() == "medium"
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
        with exact():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    assert torch.get_float32_matmul_precision() == before


def test_what_fails_inside_gives_everything_back_too() -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with pytest.raises(KeyError), threads(1), fast(torch.device("cpu"), False), exact():
        raise KeyError
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
