"""Updates that ship beside a shared backbone: the same answers as merged ones, one file and one session for all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.bundle import MANIFEST, digest_of, read_manifest, write_manifest
from tunewright.core.errors import DamagedBundle
from tunewright.methods import adalora, lora
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf
from tunewright.runtime.together import Pass, Question
from tunewright.runtime.updates import Updated, read, write
from tunewright.train.export import export
from tunewright.train.halves import halves
from tunewright.train.rebuild import encoder_of, rebuild
from tunewright.train.updates import Factors, merged, tensors

Make = Callable[..., Any]
# Enough to beat the start, which ships otherwise.
STEPS = {"fit.epochs": 24, "fit.patience": 24, "fit.learning_rate": 5e-3, "fit.average": 0.0}
SETTINGS = {"fit.shared": True, "fit.batch_rows": 16} | STEPS
PART = "upper.text"


def drawn(parts: int, out: int, width: int, rank: int) -> Factors:
    return Factors(torch.randn(parts * rank, width), torch.randn(parts, out // parts, rank))


# --- tensors ---


def test_a_product_is_that_of_each_part() -> None:
    one = drawn(3, 12, 5, 2)
    wanted = torch.cat([left @ right for left, right in zip(one.left, one.right.chunk(3), strict=True)])
    torch.testing.assert_close(one.product(), wanted)


def test_what_adds_nothing_is_left_out() -> None:
    one = drawn(3, 12, 5, 4)
    one.right[[0, 2, 3, 5]] = 0  # three of the first part, one of the second, none of the third
    one.left[2, :, 1] = 0
    trimmed = one.trimmed()
    assert trimmed.left.shape == (3, 4, 3)
    torch.testing.assert_close(trimmed.product(), one.product())
    nothing = Factors(torch.zeros(4, 5), torch.randn(1, 6, 4)).trimmed()
    assert nothing.left.shape == (1, 6, 1), "a rank of at least 1"
    assert not nothing.product().any()


def test_a_file_holds_what_merges_to_the_same_weights(tmp_path: Path) -> None:
    updates = {"a.qkv": drawn(3, 12, 5, 2), "a.out": drawn(1, 6, 4, 3)}
    for name in ("one", "two"):
        write(tensors(updates), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = read(tmp_path / "one")
    assert {name: value.shape for name, value in found.items()} == {
        "a.out.left": (6, 3),
        "a.out.right": (3, 4),
        "a.qkv.left": (3, 4, 2),
        "a.qkv.right": (6, 5),
    }
    own = {"a.qkv.weight": torch.randn(12, 5), "a.out.weight": torch.randn(6, 4), "a.qkv.bias": torch.randn(12)}
    for name, value in merged(own, found).items():
        update = updates.get(name.removesuffix(".weight"))
        torch.testing.assert_close(value, own[name] if update is None else own[name] + update.product())


# --- graphs ---


@pytest.mark.usefixtures("traced_once")
def test_one_graph_fits_updates_of_any_rank_and_both_methods(make_context: Make, tmp_path: Path) -> None:
    files, told = [], []
    for method, rank in ((lora, 2), (lora, 5), (adalora, 3)):
        context = make_context("classify", SETTINGS | {"fit.size": rank}, intents=2)
        fitted = method.fit(context)
        cut = halves(context, fitted)
        assert len(cut.updates) == 4 * 2, "four products in each of two layers"
        assert "fit.shared: the whole backbone is shared, with" in context.run.told[-1]["say"]
        folder = tmp_path / f"{fitted.method}-{rank}"
        windows, modality = context.train.windows, context.backbone.modality
        parts = export(folder, "text", modality, windows, cut.lower, {}, cut.upper, cut.updates)
        part = parts[PART]
        files.append({path: (folder / path).read_bytes() for path in (part.file, *part.data)})
        told.append(read(folder / part.updates))
        shipped = {name: value.detach() for name, value in cut.upper.state_dict().items()}
        for name, value in merged(shipped, told[-1]).items():
            torch.testing.assert_close(value, fitted.encoder.state_dict()[name], atol=1e-6, rtol=1e-5)
    assert files[0] == files[1] == files[2]
    ranks = [sorted({value.shape[-1] for name, value in one.items() if name.endswith(".left")}) for one in told]
    assert ranks[:2] == [[2], [5]]
    assert all(1 <= rank <= 4 for rank in ranks[2]), "of triplets that were pruned nothing ships"


# --- bundles ---


@pytest.fixture(scope="module")
def texts(sample_rows: dict[str, list[dict[str, str]]]) -> list[str]:
    found = [row["text"] for row in sample_rows["support_test.csv"]][:40]
    return [*found, " ".join(found), ""]


def test_the_answers_are_those_of_the_same_fit_merged(halved_bundles: dict[str, Path], texts: list[str]) -> None:
    beside, whole = (Predictor.load(halved_bundles[name], 1) for name in ("lora-0", "merged"))
    assert whole.manifest.format == 2
    assert beside.manifest.format == 4
    np.testing.assert_allclose(beside.predict_proba(texts), whole.predict_proba(texts), atol=1e-5)
    np.testing.assert_allclose(beside.embed(texts), whole.embed(texts), atol=1e-5)
    two = Predictor.load(halved_bundles["lora-0"], 2)
    np.testing.assert_allclose(two.predict_proba(texts), whole.predict_proba(texts), atol=1e-5)


def test_a_further_bundle_takes_its_updates_and_its_head_alone(halved_bundles: dict[str, Path]) -> None:
    folders = [halved_bundles[f"lora-{at}"] for at in (0, 1)]
    one, other = (read_manifest(folder) for folder in folders)
    for name in one.encoder:
        assert (one.parts[name].file, one.parts[name].data) == (other.parts[name].file, other.parts[name].data)
    assert one.parts[PART].updates != other.parts[PART].updates
    differ = {path for path in one.files if path not in other.files}
    assert differ == {one.parts[PART].updates, *one.parts["head.intent"].files}
    shelf = Shelf()
    pair = [Predictor.load(folder, 1, shelf) for folder in folders]
    uppers = [one.network.upper for one in pair]
    assert all(isinstance(one, Updated) for one in uppers)
    assert uppers[0].graph is uppers[1].graph  # type: ignore[union-attr]


def test_each_asks_for_its_own_rows_with_its_own_updates(halved_bundles: dict[str, Path], texts: list[str]) -> None:
    shelf = Shelf()
    pair = [Predictor.load(halved_bundles[f"lora-{at}"], 1, shelf) for at in (0, 1)]
    alone = [Predictor.load(halved_bundles[f"lora-{at}"], 1).predict(texts) for at in (0, 1)]
    found = Pass([Question(one, [texts]) for one in pair]).answers()
    for answers, own in zip(found, alone, strict=True):
        assert [one.label for one in answers["intent"]] == [one.label for one in own]
        scores = [(one.score, two.score) for one, two in zip(answers["intent"], own, strict=True) if two.score]
        assert all(abs(a - b) < 1e-5 for a, b in scores)
    assert [one.score for one in alone[0]] != [one.score for one in alone[1]]


def test_the_network_comes_back_merged(halved_bundles: dict[str, Path]) -> None:
    one, other = (rebuild(halved_bundles[name]).encoder.state_dict() for name in ("merged", "lora-0"))
    assert list(one) == list(other)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=1e-6, rtol=1e-5)
    folder = halved_bundles["lora-0"]
    assert set(encoder_of(folder, read_manifest(folder))) == set(one)


# --- what is damaged ---


@pytest.fixture
def copied(halved_bundles: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(halved_bundles["lora-0"], tmp_path / "lora")


def resealed(folder: Path, content: bytes) -> None:
    """Other content for the updates, with all digests right."""
    manifest = read_manifest(folder)
    (folder / manifest.parts[PART].updates).write_bytes(content)
    write_manifest(folder, manifest)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: path.unlink(), "the file is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4] + b"\0\0\1\0"), "the file is damaged"),
        (lambda path: path.write_bytes(b""), "the file is damaged"),
    ],
)
def test_a_damaged_file_is_refused_by_its_name(copied: Path, change: Any, problem: str) -> None:
    path = copied / read_manifest(copied).parts[PART].updates
    change(path)
    with pytest.raises(DamagedBundle, match=f"{path.name}: {problem}.* → copy the bundle again, or fit it anew"):
        Predictor.load(copied, 1)


def test_what_is_no_file_of_updates_is_refused(copied: Path) -> None:
    resealed(copied, b"import os; os.system('true')")
    with pytest.raises(DamagedBundle, match=r"onnx_adapter: it holds no updates: .*not appear to be a valid"):
        Predictor.load(copied, 1)


def test_updates_for_other_layers_are_refused(copied: Path, tmp_path: Path) -> None:
    path = copied / read_manifest(copied).parts[PART].updates
    given = read(path)
    given.pop("layers.1.up.left")
    write(given, tmp_path / "fewer")
    resealed(copied, (tmp_path / "fewer").read_bytes())
    with pytest.raises(DamagedBundle, match=r"these updates do not fit the graph beside them \(layers\.1\.up\.left\)"):
        Predictor.load(copied, 1)


def test_updates_that_lie_elsewhere_are_refused(copied: Path) -> None:
    record = json.loads((copied / MANIFEST).read_text(encoding="utf-8"))
    record["parts"][PART]["updates"] = "../elsewhere"
    (copied / MANIFEST).write_text(json.dumps(record | {"digest": digest_of(record)}), encoding="utf-8")
    with pytest.raises(DamagedBundle, match=r"'\.\./elsewhere' is no file of the bundle"):
        read_manifest(copied)
