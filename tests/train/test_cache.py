"""The cache of frozen activations: computed once, never stale, never half, and no loss where the disk is full."""

from __future__ import annotations

import errno
import json
import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.run import Run
from tunewright.core.types import Ragged, Windows
from tunewright.train import cache as caching
from tunewright.train import context as contexts
from tunewright.train.cache import Cache, Write, about, digest_of, let_go

Make = Callable[..., Any]
ROWS = np.arange(24, dtype=np.float32).reshape(6, 4)


class Told(Run):
    """A run that remembers what it said."""

    said: list[str]

    def log(self, event: str, **facts: Any) -> None:
        super().log(event, **facts)
        self.said.append(facts.get("say", ""))


@pytest.fixture
def run(tmp_path: Path) -> Told:
    run = Told(tmp_path, tmp_path / "out", 5.0)
    run.said = []
    return run


@pytest.fixture
def cache(run: Told) -> Cache:
    return Cache(run.work / "cache", run, {"weights": "a"})


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Below and above the limit of what is held in memory."""
    monkeypatch.setattr(caching, "MEMORY_BYTES", 10**6 if request.param == "memory" else 8)
    return str(request.param)


class Computing:
    """Fills an array from its end to its begin, and counts how often."""

    def __init__(self, rows: Any = ROWS) -> None:
        self.rows, self.times = rows, 0

    def __call__(self, write: Write) -> None:
        self.times += 1
        for at in range(len(self.rows) - 2, -1, -2):
            write(at, self.rows[at : at + 2])


def filled(cache: Cache, fill: Any, **key: Any) -> Any:
    return cache.filled(key, (6, 4), np.float32, fill)


def files(cache: Cache) -> list[Path]:
    return sorted(cache.folder.iterdir()) if cache.folder.is_dir() else []


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every write of the cache's files fails half-way; the list holds what was tried."""
    tried: list[Path] = []
    write = caching._written

    def written(path: Path, shape: Any, dtype: Any, fill: Any) -> str:
        tried.append(path)
        write(path, shape, dtype, lambda put: put(0, np.zeros((1, *shape[1:]), dtype)))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching, "_written", written)
    return tried


def test_it_is_computed_once_and_outlives_the_process(cache: Cache, run: Told, place: str) -> None:
    fill = Computing()
    for one in (cache, cache, Cache(cache.folder, run, {"weights": "a"})):
        np.testing.assert_array_equal(filled(one, fill, layer=2), ROWS)
    assert fill.times == 1
    assert isinstance(filled(cache, fill, layer=2), np.memmap) == (place == "file")
    assert [path.suffix for path in files(cache)] == [".npy"]
    np.testing.assert_array_equal(np.load(files(cache)[0]), ROWS)


def test_an_array_made_at_once(cache: Cache, place: str) -> None:
    made: list[int] = []

    def make() -> Any:
        made.append(1)
        return ROWS[:, 0].astype(np.float16)

    one, other = (cache.array({"what": "embeddings"}, make) for _ in range(2))
    assert made == [1]
    assert one.dtype == other.dtype == np.float16
    assert not isinstance(other, np.memmap), "it is held in memory"
    np.testing.assert_array_equal(one, other)


def test_another_key_or_another_backbone_is_another_array(cache: Cache, run: Told, place: str) -> None:
    fill = Computing()
    filled(cache, fill, layer=2)
    filled(cache, fill, layer=3)
    filled(Cache(cache.folder, run, {"weights": "b"}), fill, layer=2)
    assert fill.times == 3
    assert len(files(cache)) == 3


@pytest.mark.parametrize("harm", ["byte", "cut", "empty"])
def test_a_damaged_file_is_told_of_and_computed_again(harm: str, cache: Cache, run: Told, place: str) -> None:
    fill = Computing()
    filled(cache, fill)
    (path,) = files(cache)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes({"byte": raw, "cut": raw[:-4], "empty": b""}[harm])
    np.testing.assert_array_equal(filled(cache, fill), ROWS)
    assert fill.times == 2
    assert run.said == [f"{path}: the cached activations are damaged; they are computed again"]
    filled(cache, fill)
    assert fill.times == 2


def test_what_a_kill_left_half_written_is_never_read(cache: Cache, place: str) -> None:
    """The process ends inside the writing: nothing is cleaned up, and the next one starts over."""
    fill = Computing()
    filled(cache, fill)
    (path,) = files(cache)
    path.rename(path.with_name(f"{path.stem.partition('-')[0]}.partial"))
    np.testing.assert_array_equal(filled(cache, fill), ROWS)
    assert fill.times == 2
    assert [one.suffix for one in files(cache)] == [".npy"]


def test_two_processes_may_fill_the_same_array(cache: Cache, run: Told, place: str) -> None:
    """The second begins and ends while the first is at it."""
    other = Cache(cache.folder, run, cache.about)

    def fill(write: Write) -> None:
        write(0, ROWS[:3])
        np.testing.assert_array_equal(filled(other, Computing()), ROWS)
        write(3, ROWS[3:])

    np.testing.assert_array_equal(filled(cache, fill), ROWS)
    np.testing.assert_array_equal(filled(cache, None), ROWS)
    assert [one.suffix for one in files(cache)] == [".npy"]


def test_what_fails_while_it_is_computed_leaves_nothing(cache: Cache, place: str) -> None:
    def fails(write: Write) -> None:
        write(0, ROWS[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        filled(cache, fails)
    assert files(cache) == []


def test_a_full_disk_costs_the_cache_alone_and_is_said_once(
    cache: Cache, run: Told, place: str, full_disk: list[Path]
) -> None:
    fill = Computing()
    for layer in (1, 2):
        found = filled(cache, fill, layer=layer)
        if place == "memory":
            np.testing.assert_array_equal(found, ROWS)
        else:
            assert found is None, "it does not fit into memory either"
    np.testing.assert_array_equal(cache.array({}, lambda: ROWS), ROWS)
    assert len(full_disk) == 1, "nothing is tried again"
    assert files(cache) == []
    assert run.said == [f"{cache.folder}: the disk is full; going on without a cache of activations"]


def test_another_error_of_the_disk_is_not_hidden(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(caching, "_written", broken)
    with pytest.raises(OSError, match="Input/output error"):
        filled(cache, Computing())


def test_pages_let_go_are_read_again(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MEMORY_BYTES", 2**20)
    big = np.random.default_rng(0).random((2**16, 64), np.float32)  # 16 MB
    found = cache.filled({}, big.shape, big.dtype, lambda write: write(0, big))
    assert isinstance(found, np.memmap)
    let_go(found)
    before = resident()
    np.testing.assert_array_equal(found, big)
    assert resident() - before > 10
    let_go(found)
    assert resident() - before < 4
    np.testing.assert_array_equal(found[[5, 2**16 - 1]], big[[5, -1]])
    let_go(ROWS)
    assert isinstance(found.base, mmap.mmap)


def resident() -> float:
    """MB of mapped files in memory."""
    found = re.search(r"RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) / 1024


def test_windows_of_batches_are_read_from_the_file(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MEMORY_BYTES", 8)
    states = Ragged(filled(cache, Computing()), np.array([0, 1, 4, 6]))
    values, mask = states.padded(np.array([2, 0]))
    np.testing.assert_array_equal(values[0], ROWS[4:6])
    np.testing.assert_array_equal(values[1], [ROWS[0], np.zeros(4)])
    assert mask.tolist() == [[True, True], [True, False]]
    torch.from_numpy(values)


def embed(context: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the encoder runs over a part, for the embeddings of both."""
    times: list[int] = []
    frozen = contexts.frozen
    with monkeypatch.context() as patch:
        patch.setattr(contexts, "frozen", lambda *given, **named: times.append(1) or frozen(*given, **named))
        context.train_embeddings, context.validation_embeddings  # noqa: B018 - computed when they are asked for
    return len(times)


def continued(context: Any, earlier: Any) -> Any:
    """A context whose run goes on in the folder of an earlier one."""
    context.run.work = earlier.run.work
    return context


def test_embeddings_outlive_a_kill_bit_by_bit(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_context()
    assert embed(first, monkeypatch) == 2
    again = continued(make_context(), first)
    assert embed(again, monkeypatch) == 0
    assert again.pass_seconds == first.pass_seconds > 0
    np.testing.assert_array_equal(again.train_embeddings, first.train_embeddings)
    np.testing.assert_array_equal(again.validation_embeddings, first.validation_embeddings)


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"fit.max_tokens": 8}},
        {"settings": {"fit.prefix": "query: "}},
        {"intents": 3},
        {"backbone": "other"},
    ],
    ids=str,
)
def test_other_rows_windows_or_weights_are_computed_anew(
    other: dict[str, Any], make_context: Make, tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_context()
    embed(first, monkeypatch)
    if "backbone" in other:
        other = {"backbone": changed(tiny_backbone, tmp_path / "tiny-other")}
    assert embed(continued(make_context(**other), first), monkeypatch) == 2


def changed(backbone: Path, folder: Path) -> Path:
    """A copy of a backbone with one weight changed."""
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for path in backbone.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("attention.self.query.weight"))
    weights[name] = weights[name].clone()
    weights[name][0, 0] += 1
    save_file(weights, folder / "model.safetensors")
    return folder


def test_measures_of_the_backbone_count_too(make_context: Make, tiny_backbone: Path, tmp_path: Path) -> None:
    """The same tensors under another epsilon give other states."""
    folder = changed(tiny_backbone, tmp_path / "tiny-other")
    (folder / "model.safetensors").write_bytes((tiny_backbone / "model.safetensors").read_bytes())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 1e-3}), encoding="utf-8")
    one, other = make_context(), make_context(backbone=folder)
    assert one.found.digest == other.found.digest
    assert about(one.backbone, one.found) != about(other.backbone, other.found)
    assert about(one.backbone, one.found) == about(make_context().backbone, one.found)


def test_weights_of_a_source_without_a_digest_are_looked_at(make_context: Make) -> None:
    from dataclasses import replace

    context = make_context()
    found = replace(context.found, digest="")
    before = about(context.backbone, found)
    with torch.no_grad():
        context.backbone.encoder.words.weight[5, 5] += 1
    assert about(context.backbone, found) != before


def test_exact_and_bf16_are_two_things(make_context: Make) -> None:
    context = make_context("classify", {"fit.precision": "bf16"})
    learnt, judged = (context.frozen_key(context.train.windows, learnt=learnt) for learnt in (True, False))
    assert (learnt["bf16"], judged["bf16"]) == (True, False)
    plain = make_context("classify", {"fit.precision": "fp32"})
    assert plain.frozen_key(plain.train.windows, learnt=True) == judged


def windows(**other: Any) -> Windows:
    own = {"rows": 2, "owner": np.array([0, 0, 1]), "cost": np.array([2, 1, 1])}
    data = {"input_ids": Ragged.of([[1, 2], [3], [4]]), "flag": np.array([0, 1, 1])}
    given = own | {name: value for name, value in other.items() if name in own}
    return Windows(**given, data=data | other.get("data", {}))


def others() -> Iterator[Windows]:
    yield windows(rows=3)
    yield windows(owner=np.array([0, 1, 1]))
    yield windows(cost=np.array([2, 1, 2]))
    yield windows(data={"input_ids": Ragged.of([[1, 2], [3], [5]])})
    yield windows(data={"input_ids": Ragged.of([[1], [2, 3], [4]])})
    yield windows(data={"flag": np.array([0, 1, 0])})
    yield windows(data={"flag": np.array([0, 1, 1], np.int32)})
    yield windows(data={"more": np.array([0, 1, 1])})
    yield windows(data={"flag": np.array(["a", "b", "c"], object)})
    yield windows(data={"flag": np.array(["a", "b", "d"], object)})


def test_the_digest_sees_every_value_of_the_windows() -> None:
    digests = [digest_of(one) for one in (windows(), *others())]
    assert len(set(digests)) == len(digests)
    assert digest_of(windows()) == digests[0]
    names = [np.array(["".join(["a", "b"]), "b", "c"], object) for _ in range(2)]
    assert len({digest_of(windows(data={"flag": one})) for one in names}) == 1, "values, not addresses"
