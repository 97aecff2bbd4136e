"""Threads from the container's CPU quota, read from cgroup folders made here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tunewright.runtime.threads import available


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("text", "threads"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("1600000 100000", 8),
        ("50000 50000\n", 1),
        ("", 8),
        ("nonsense", 8),
        ("a b", 8),
    ],
)
def test_the_quota_of_cgroup_v2(tmp_path: Path, text: str, threads: int) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="utf-8")
    assert available(tmp_path) == threads


@pytest.mark.parametrize(
    ("quota", "period", "threads"),
    [("-1", "100000", 8), ("300000", "100000", 3), ("250000", "100000", 3), ("1000", "100000", 1), ("x", "100000", 8)],
)
def test_the_quota_of_cgroup_v1(tmp_path: Path, quota: str, period: str, threads: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(quota, encoding="utf-8")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text(period, encoding="utf-8")
    assert available(tmp_path) == threads


def test_without_a_quota_all_processors_that_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available(tmp_path / "none") == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert available(tmp_path / "none") == 1


@pytest.mark.parametrize(("count", "threads"), [(4, 4), (None, 1)])
def test_a_system_without_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int | None, threads: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert available(tmp_path) == threads


def test_this_machine_has_at_least_one() -> None:
    assert 1 <= available() <= 8
