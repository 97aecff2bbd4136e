"""What the tests of the client share: the running service of the tests of serving, and one with a real bundle."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TESTS = Path(__file__).parent.parent


def _conftest() -> ModuleType:
    spec = importlib.util.spec_from_file_location("serve_conftest", TESTS / "serve" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


running = _conftest().running


@pytest.fixture(scope="module")
def static_service() -> Iterator[str]:
    """Address of a service of the committed bundle."""
    code = "import sys, pathlib; from tunewright.serve.run import serve; serve([pathlib.Path(sys.argv[1])], port=0)"
    bundle = TESTS / "runtime" / "bundles" / "format-2"
    command = [sys.executable, "-c", code, str(bundle)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split(" at ")[1].split()[0]
        finally:
            process.kill()
