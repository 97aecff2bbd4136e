"""What the tests of core share: Python programs in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

# How quick a busy machine is says nothing about a property.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_python() -> Iterator[Start]:
    """Start ``python -c CODE ARGUMENTS``; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()
