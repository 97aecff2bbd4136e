"""The bundle's manifest: what the digest covers, and that every kind of damage is found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.bundle import FORMAT, MANIFEST, Manifest, Part, digest_of, read_manifest, verify, write_manifest
from tunewright.core.errors import DamagedBundle, TunewrightError

FILES = {
    "encoder.text-0123.onnx": b"encoder",
    "weights/encoder.text-0123.safetensors": b"\x00\x01" * 100,
    "head.label-4567.onnx": b"head",
    "modality/text/tokenizer.json": '{"词": 1}'.encode(),
    "report.html": b"<html>",
    "card.md": b"# card",
    "reference.json": b"{}",
}
MANIFEST_ = Manifest(
    name="意图 intents",
    inputs={"text": "text"},
    modalities={"text": {"max_tokens": 16}},
    targets=[{"name": "label", "kind": "classify", "labels": ["a", "b"], "spec": {"labels": ["a", "b"]}}],
    parts={
        "encoder.text": Part("onnx", "encoder.text-0123.onnx", ("weights/encoder.text-0123.safetensors",)),
        "head.label": Part("onnx", "head.label-4567.onnx"),
    },
    backbone={"name": "b"},
    method={"name": "probe"},
    task={"seed": 0},
    data={"train_rows": 3},
    metrics={"accuracy": {"value": 0.1 + 0.2, "n": 3}},
    run={"seconds": 1.5, "created": "2026-11-22"},
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "intents"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_manifest(folder, MANIFEST_)
    return folder


def changed(folder: Path, change: Callable[[dict[str, Any]], object], *, sign: bool = False) -> None:
    """Edit the manifest; ``sign`` gives it the digest that fits."""
    record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(record)
    if sign:
        record["digest"] = digest_of(record)
    (folder / MANIFEST).write_text(json.dumps(record), encoding="utf-8")


def test_the_format_is_the_least_one_that_has_what_is_used(bundle: Path) -> None:
    plain = read_manifest(bundle)
    assert (plain.format, plain.encoder, plain.heads) == (2, ("encoder.text",), ("head.label",))
    upper = {"upper.text": Part("onnx", "head.label-4567.onnx")}
    read = write_manifest(bundle, replace(plain, parts=upper | plain.parts))
    assert (read.format, read.encoder, read.heads) == (3, ("encoder.text", "upper.text"), ("head.label",))
    updated = {"upper.text": Part("onnx", "head.label-4567.onnx", updates="weights/encoder.text-0123.safetensors")}
    read = write_manifest(bundle, replace(plain, parts=updated | plain.parts))
    assert (read.format, read.encoder, read.heads) == (4, ("encoder.text", "upper.text"), ("head.label",))
    assert read.parts["upper.text"].files == ("head.label-4567.onnx", "weights/encoder.text-0123.safetensors")
    assert "updates" not in json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))["parts"]["head.label"]


def test_a_manifest_is_read_as_it_was_written(bundle: Path) -> None:
    read = read_manifest(bundle)
    assert read == replace(MANIFEST_, files=read.files, run=read.run, digest=read.digest)
    assert read == write_manifest(bundle, MANIFEST_)
    assert read.parts["encoder.text"].data == ("weights/encoder.text-0123.safetensors",)
    assert set(read.files) | set(read.run["files"]) == set(FILES)
    assert set(read.run["files"]) == {"report.html", "card.md"}
    assert read.size_bytes == sum(len(content) for name, content in FILES.items() if name in read.files)
    verify(bundle, read)


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(("report.", "card."))])
def test_every_file_is_part_of_the_digest(bundle: Path, name: str) -> None:
    before = read_manifest(bundle).digest
    (bundle / name).write_bytes(b"else")
    assert write_manifest(bundle, MANIFEST_).digest != before


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"inputs": {"body": "text"}},
        {"modalities": {"text": {"max_tokens": 17}}},
        {"targets": [{**MANIFEST_.targets[0], "kind": "multilabel"}]},
        {"parts": {**MANIFEST_.parts, "embed": Part("onnx", "head.label-4567.onnx")}},
        {"backbone": {"name": "c"}},
        {"method": {"name": "full"}},
        {"task": {"seed": 1}},
        {"data": {"train_rows": 4}},
        {"metrics": {}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_statement_but_the_run_is_part_of_the_digest(bundle: Path, change: dict[str, Any]) -> None:
    before = read_manifest(bundle).digest
    assert write_manifest(bundle, replace(MANIFEST_, **change)).digest != before


def test_what_tells_of_the_run_is_not_part_of_the_digest(bundle: Path) -> None:
    before = read_manifest(bundle).digest
    (bundle / "report.html").write_bytes(b"another day")
    (bundle / "report.json").write_bytes(b"{}")
    after = write_manifest(bundle, replace(MANIFEST_, run={"seconds": 99, "machine": "other"}))
    assert after.digest == before
    assert set(after.run["files"]) == {"report.html", "report.json", "card.md"}


def test_a_report_in_a_folder_is_a_file_of_the_bundle(bundle: Path) -> None:
    (bundle / "weights" / "report.html").write_bytes(b"x")
    assert "weights/report.html" in write_manifest(bundle, MANIFEST_).files


def test_writing_again_changes_nothing(bundle: Path) -> None:
    before = (bundle / MANIFEST).read_bytes()
    write_manifest(bundle, read_manifest(bundle))
    assert (bundle / MANIFEST).read_bytes() == before


def test_the_manifest_is_for_people_too(bundle: Path) -> None:
    text = (bundle / MANIFEST).read_text(encoding="utf-8")
    assert "意图 intents" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("at", [0, -1])
def test_one_changed_byte_in_a_file_is_found_and_named(bundle: Path, name: str, at: int) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[at] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(DamagedBundle) as caught:
        verify(bundle, read_manifest(bundle))
    assert str(bundle / name) in caught.value.problem
    assert "damaged" in caught.value.problem
    assert caught.value.remedy == "copy the bundle again, or fit it anew"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_longer_file_is_found_and_named(bundle: Path, name: str) -> None:
    manifest = read_manifest(bundle)
    with open(bundle / name, "ab") as file:
        file.write(b"\0")
    with pytest.raises(DamagedBundle, match="damaged"):
        verify(bundle, manifest)
    (bundle / name).unlink()
    with pytest.raises(DamagedBundle, match="the file is missing") as caught:
        verify(bundle, manifest)
    assert str(bundle / name) in caught.value.problem


def test_only_the_named_files_are_compared(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    (bundle / "head.label-4567.onnx").write_bytes(b"else")
    verify(bundle, manifest, ["encoder.text-0123.onnx"])
    with pytest.raises(DamagedBundle, match="head.label"):
        verify(bundle, manifest, ["encoder.text-0123.onnx", "head.label-4567.onnx"])


def test_one_changed_byte_anywhere_in_the_manifest_is_found(bundle: Path) -> None:
    """Every byte in turn; only what is outside of the digest by design, or says the same as before, may pass."""
    path, whole = bundle / MANIFEST, read_manifest(bundle)
    content = path.read_bytes()
    passed = 0
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            read = read_manifest(bundle)
        except TunewrightError:
            continue
        passed += 1
        assert replace(read, run=whole.run) == whole
    assert passed < len(content) / 2


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["targets"][0]["labels"].reverse(),
        lambda record: record.update(digest="sha256:" + "0" * 64),
        lambda record: record.pop("digest"),
        lambda record: record.pop("format"),
        lambda record: record["files"].clear(),
        lambda record: record.update(more=1),
    ],
)
def test_an_edited_manifest_is_refused(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    changed(bundle, change)
    with pytest.raises(DamagedBundle) as caught:
        read_manifest(bundle)
    assert str(bundle / MANIFEST) in caught.value.problem


@pytest.mark.parametrize("key", ["name", "inputs", "modalities", "targets", "parts", "files", "backbone"])
def test_a_manifest_without_a_key_is_refused(bundle: Path, key: str) -> None:
    changed(bundle, lambda record: record.pop(key), sign=True)
    with pytest.raises(DamagedBundle, match=f"{key} is missing"):
        read_manifest(bundle)


def test_a_newer_format_names_the_remedy(bundle: Path) -> None:
    changed(bundle, lambda record: record.update(format=FORMAT + 1), sign=True)
    with pytest.raises(TunewrightError, match=r"is newer than this program reads") as caught:
        read_manifest(bundle)
    assert not isinstance(caught.value, DamagedBundle)
    assert caught.value.remedy == "pip install --upgrade tunewright"


def test_a_key_that_a_later_writer_adds_is_passed_over(bundle: Path) -> None:
    changed(bundle, lambda record: record.update(later={"a": 1}), sign=True)
    read = read_manifest(bundle)
    assert read == replace(MANIFEST_, files=read.files, run=read.run, digest=read.digest)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": "1"}', b"1" * 5000, b"[" * 100_000], ids=range(8)
)
def test_something_else_in_the_manifests_place_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST).write_bytes(content)
    with pytest.raises(DamagedBundle) as caught:
        read_manifest(bundle)
    assert str(bundle / MANIFEST) in caught.value.problem


def test_no_bundle_is_not_a_damaged_one(bundle: Path, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none", bundle / "report.html"):
        with pytest.raises(TunewrightError, match="there is no bundle") as caught:
            read_manifest(place)
        assert not isinstance(caught.value, DamagedBundle)
        assert "tunewright fit" in caught.value.remedy


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.dictionaries(st.text() | st.integers(), JSON, max_size=4))
def test_whatever_json_is_told_a_bundle_can_be_read_again(tmp_path_factory: Any, data: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    written = write_manifest(folder, replace(MANIFEST_, data=data))
    assert read_manifest(folder) == written
    shutil.rmtree(folder)
