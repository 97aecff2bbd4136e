"""Compiles the native code of the package where there is a compiler; without one the wheel is pure Python."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "src/tunewright/runtime/native"
FLAGS = ("-O3", "-std=gnu11", "-fPIC", "-shared", "-pthread")


class CustomBuildHook(BuildHookInterface[Any]):
    """Puts ``encoder.so`` beside ``encoder.c``. It asks the processor first, so one file fits all of a family."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler or os.name != "posix":
            self.app.display_warning("no C compiler was found: int8 bundles will be computed by ONNX Runtime alone")
            return
        source, new, target = (Path(self.root, FOLDER, name) for name in ("encoder.c", "encoder.so.new", "encoder.so"))
        done = subprocess.run([compiler, *FLAGS, str(source), "-o", str(new), "-lm"], capture_output=True, text=True)
        if done.returncode:
            self.app.display_warning(f"{source} could not be compiled, so it is left out:\n{done.stderr}")
            return
        new.replace(target)  # processes that run go on with the old one
        build_data["artifacts"].append(f"/{FOLDER}/encoder.so")
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
