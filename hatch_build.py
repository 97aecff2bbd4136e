"""Compiles the native code of the package where there is a compiler; without one the wheel is pure Python."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("src/tunewright/runtime/native/encoder.c", "src/tunewright/backbones/native/layer.c")
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-pthread")


class CustomBuildHook(BuildHookInterface[Any]):
    """Puts a library beside each source. It asks the processor first, so one file fits all of a family."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler or os.name != "posix":
            without = "int8 bundles will be computed by ONNX Runtime alone, and trainings by torch alone"
            self.app.display_warning(f"no C compiler was found: {without}")
            return
        libraries = [one for one in (self._compiled(compiler, Path(source)) for source in SOURCES) if one]
        if not libraries:
            return
        build_data["artifacts"] += [f"/{one}" for one in libraries]
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def _compiled(self, compiler: str, source: Path) -> Path | None:
        """The library, by its path in the project; None where the compiler refused."""
        target = source.with_suffix(".so")
        new = Path(self.root, f"{target}.new")
        command = [compiler, *FLAGS, str(Path(self.root, source)), "-o", str(new), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            self.app.display_warning(f"{source} could not be compiled, so it is left out:\n{done.stderr}")
            return None
        new.replace(Path(self.root, target))  # processes that run go on with the old one
        return target
