"""A bundle that means harm: its digests are right, and it is still data and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from tunewright.core.bundle import MANIFEST, digest_of, read_manifest, write_manifest
from tunewright.core.errors import DamagedBundle, TunewrightError
from tunewright.runtime.predictor import load

SOURCE = Path(__file__).parent / "bundles" / "format-2"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return shutil.copytree(SOURCE, tmp_path / "inner" / "bundle")


def reworked(bundle: Path, change: Callable[[Any], None]) -> None:
    """Change the encoder's graph, and put all digests right again."""
    manifest = read_manifest(bundle)
    path = bundle / manifest.parts["encoder.text"].file
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    write_manifest(bundle, manifest)


def retold(bundle: Path, change: Callable[[Any], None]) -> None:
    """Change the manifest, and put its digest right again."""
    record = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    change(record)
    (bundle / MANIFEST).write_text(json.dumps(record | {"digest": digest_of(record)}), encoding="utf-8")


def test_an_operator_of_a_foreign_library_is_refused(bundle: Path) -> None:
    def foreign(model: Any) -> None:
        model.graph.node[0].domain, model.graph.node[0].op_type = "foreign.library", "Run"
        model.opset_import.append(helper.make_opsetid("foreign.library", 1))

    reworked(bundle, foreign)
    with pytest.raises(DamagedBundle, match=r"encoder\.text-.*\.onnx: it cannot be run: .*foreign\.library:Run"):
        load(bundle)


@pytest.mark.parametrize("absolute", [False, True])
def test_tensors_outside_the_folder_are_not_read(absolute: bool, bundle: Path) -> None:
    outside = bundle.parent / "outside.bin"
    shutil.copy(next((bundle / "weights").glob("encoder*")), outside)

    def elsewhere(model: Any) -> None:
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = str(outside) if absolute else "../outside.bin"

    reworked(bundle, elsewhere)
    with pytest.raises(DamagedBundle, match=r"it cannot be run: .*External data path"):
        load(bundle)


def test_a_link_that_leads_outside_is_not_followed(bundle: Path) -> None:
    weights = next((bundle / "weights").glob("encoder*"))
    outside = bundle.parent / "outside.bin"
    shutil.move(weights, outside)
    weights.symlink_to(outside)
    with pytest.raises(DamagedBundle, match=r"it cannot be run: .*External data path escapes"):
        load(bundle)


@pytest.mark.parametrize("path", ["../other.onnx", "/etc/passwd", "a/../../b", "C:\\a.onnx", "a//b"])
def test_a_manifest_that_names_files_elsewhere_is_refused(path: str, bundle: Path) -> None:
    def elsewhere(record: Any) -> None:
        part = record["parts"]["encoder.text"]
        record["files"][path] = record["files"].pop(part["file"])
        part["file"] = path

    retold(bundle, elsewhere)
    with pytest.raises(DamagedBundle, match="is no file of the bundle → do not use it"):
        load(bundle)


def test_a_kind_is_a_name_of_an_installed_one_and_no_path(bundle: Path) -> None:
    retold(bundle, lambda record: record["targets"][0].update(kind="../../os"))
    with pytest.raises(TunewrightError, match=r"there is no kind '\.\./\.\./os'"):
        load(bundle)


def test_a_file_that_is_no_graph_is_an_error_without_a_traceback(bundle: Path, cli: Callable[..., Any]) -> None:
    manifest = read_manifest(bundle)
    (bundle / manifest.parts["encoder.text"].file).write_bytes(b"import os; os.system('true')")
    write_manifest(bundle, manifest)
    done = cli("serve", bundle, "--port", 0)
    assert done.code == 2
    assert "it cannot be run" in done.err
