"""Native code against the same layers in numpy, for any windows and any number of threads; when it is used at all."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunewright.core.errors import DamagedBundle
from tunewright.runtime import native
from tunewright.runtime.layers import Layer, Layers, Matrix, Norm, Table
from tunewright.runtime.processor import processor

Floats = NDArray[np.float64]
WORDS, PLACES = 50, 70


def random_layers(
    width: int = 64, inner: int = 128, heads: int = 2, count: int = 2, *, narrow: bool = True, typed: bool = True
) -> Layers:
    rng = np.random.default_rng(width + inner + heads)

    def matrix(rows: int, columns: int) -> Matrix:
        weights = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
        scales, bias = (rng.random(columns) + 0.5) / (90 * rows**0.5), rng.standard_normal(columns) / 10
        return Matrix(weights, scales.astype(np.float32), bias.astype(np.float32))

    def norm() -> Norm:
        return Norm(*(np.float32(base + rng.standard_normal(width) / 10) for base in (1, 0)))

    words = rng.standard_normal((WORDS, width)).astype(np.float32)
    scales = np.abs(words).max(1) / 127
    layers = tuple(
        Layer(*(matrix(width, width) for _ in range(4)), norm(), matrix(width, inner), matrix(inner, width), norm())
        for _ in range(count)
    )
    return Layers(
        heads,
        1e-12,
        Table(np.rint(words / scales[:, None]).astype(np.int8), scales) if narrow else Table(words, None),
        rng.standard_normal((PLACES, width)).astype(np.float32) / 3,
        rng.standard_normal(width).astype(np.float32) if typed else None,
        norm(),
        layers,
    )


def by_hand(layers: Layers, windows: list[list[int]]) -> list[Floats]:
    """States of each window, in float64 but for what is turned into bytes; all windows have one scale."""
    flat = np.concatenate([np.array(one, int) for one in windows])
    places = np.concatenate([np.arange(len(one)) for one in windows])
    ends = np.cumsum([len(one) for one in windows])[:-1]
    x = layers.words.taken(flat).astype(float) + layers.positions[places] + (0 if layers.type is None else layers.type)
    x = normed(x, layers.norm, layers.epsilon)
    for layer in layers.layers:
        q, k, v = (product(x, one) for one in (layer.query, layer.key, layer.value))
        mixed = [
            attended(*three, layers.heads) for three in zip(*(np.split(one, ends) for one in (q, k, v)), strict=True)
        ]
        x = normed(x + product(np.concatenate(mixed), layer.output), layer.attention_norm, layers.epsilon)
        x = normed(x + product(gelu(product(x, layer.up)), layer.down), layer.norm, layers.epsilon)
    return np.split(x, ends)


def product(left: Floats, right: Matrix) -> Floats:
    """By the definition of DynamicQuantizeLinear (ONNX) for the left side."""
    low, high = min(left.min(), 0.0), max(left.max(), 0.0)
    scale = (high - low) / 255
    zero = np.rint(np.clip(-low / scale, 0, 255))
    narrow = np.clip(np.rint(left / scale) + zero, 0, 255) - zero
    out: Floats = narrow @ right.weights.astype(float) * scale * right.scales + right.bias
    return out


def normed(x: Floats, norm: Norm, epsilon: float) -> Floats:
    apart = x - x.mean(1, keepdims=True)
    out: Floats = apart / np.sqrt((apart**2).mean(1, keepdims=True) + epsilon) * norm.weight + norm.bias
    return out


def attended(q: Floats, k: Floats, v: Floats, heads: int) -> Floats:
    out = []
    for query, key, value in zip(*(np.split(one, heads, 1) for one in (q, k, v)), strict=True):
        scores = query @ key.T / np.sqrt(query.shape[1])
        shares = np.exp(scores - scores.max(1, keepdims=True))
        out.append(shares / shares.sum(1, keepdims=True) @ value)
    return np.concatenate(out, 1)


def gelu(x: Floats) -> Floats:
    from scipy.special import erf

    out: Floats = x * (1 + erf(x / np.sqrt(2))) / 2
    return out


def padded(windows: list[list[int]]) -> dict[str, NDArray[np.int64]]:
    longest = max(len(one) for one in windows)
    ids = np.zeros((len(windows), longest), np.int64)
    mask = np.zeros_like(ids)
    for row, one in enumerate(windows):
        ids[row, : len(one)], mask[row, : len(one)] = one, 1
    return {"input_ids": ids, "attention_mask": mask}


def test_on_ci_the_package_was_built_with_its_native_code() -> None:
    if not os.environ.get("CI"):
        pytest.skip("asked on CI alone: elsewhere there may be no compiler")
    assert native.FILE.exists()


@pytest.fixture
def encoder() -> Callable[..., native.NativeEncoder]:
    """``encoder(layers, threads)``; without the library, or where the processor cannot run it, the test is skipped."""
    if not native.FILE.exists():
        pytest.skip(f"{native.FILE.name} was not compiled: there was no C compiler when the package was installed")
    if native.library() is None:
        pytest.skip(f"this processor ({processor().name}) has no AVX-512 VNNI")
    return native.NativeEncoder


windows = st.lists(st.lists(st.integers(0, WORDS - 1), min_size=1, max_size=40), min_size=1, max_size=5)


@given(windows=windows, threads=st.integers(1, 3))
def test_states_are_those_of_the_same_layers_in_numpy(windows: list[list[int]], threads: int) -> None:
    if native.library() is None:
        pytest.skip("no native code here")
    layers = random_layers()
    found = native.NativeEncoder(layers, threads)(padded(windows))
    for row, expected in enumerate(by_hand(layers, windows)):
        own = found["states"][row]
        # A number that lies between two bytes may be rounded otherwise, which moves what comes behind it by a little.
        assert np.abs(own[: len(expected)] - expected).max() < 0.1
        assert np.abs(own[: len(expected)] - expected).mean() < 0.01
        assert not own[len(expected) :].any()
    assert found["mask"].dtype == np.float32


@pytest.mark.parametrize(
    "layers",
    [
        random_layers(128, 192, 2),
        random_layers(128, 64, 4),
        random_layers(64, 64, 4, 1),
        random_layers(384, 1536, 12, 1),
        random_layers(narrow=False),
        random_layers(typed=False),
    ],
    ids=["heads of 64", "narrow inside", "heads of 16", "as minilm-en", "words in fp32", "no types"],
)
def test_other_widths(encoder: Callable[..., native.NativeEncoder], layers: Layers) -> None:
    assert native.fits(layers)
    rng = np.random.default_rng(0)
    windows = [rng.integers(0, WORDS, length).tolist() for length in (1, 17, 64, 3)]
    found = encoder(layers, 1)(padded(windows))["states"]
    for row, expected in enumerate(by_hand(layers, windows)):
        assert np.abs(found[row, : len(expected)] - expected).mean() < 0.01


@pytest.mark.parametrize("tokens", range(1, 27))
def test_any_number_of_threads_gives_the_same_bits(encoder: Callable[..., native.NativeEncoder], tokens: int) -> None:
    layers = random_layers(192, 256, 6)
    arrays = padded([np.random.default_rng(tokens).integers(0, WORDS, tokens).tolist()])
    alone = encoder(layers, 1)(arrays)["states"]
    for threads in (2, 3, 7):
        assert np.array_equal(encoder(layers, threads)(arrays)["states"], alone)


def test_callers_side_by_side_get_their_own_answers(encoder: Callable[..., native.NativeEncoder]) -> None:
    shared = encoder(random_layers(), 2)
    calls = [padded([np.random.default_rng(at).integers(0, WORDS, 1 + at % 30).tolist()]) for at in range(200)]
    alone = [shared(one)["states"] for one in calls]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: shared(one)["states"], calls))
    assert all(np.array_equal(*both) for both in zip(alone, together, strict=True))


def test_a_single_shares_the_tensors(encoder: Callable[..., native.NativeEncoder]) -> None:
    shared = encoder(random_layers(), 2)
    arrays = padded([[1, 2, 3]])
    assert shared.single.threads == 1
    assert shared.single is shared.single
    assert shared.single.single is shared.single
    assert np.array_equal(shared.single(arrays)["states"], shared(arrays)["states"])


def test_nothing_to_do_is_done(encoder: Callable[..., native.NativeEncoder]) -> None:
    for rows, steps in ((2, 0), (0, 3), (1, 1)):
        zeros = np.zeros((rows, steps), np.int64)
        found = encoder(random_layers(), 2)({"input_ids": zeros, "attention_mask": zeros})
        assert found["states"].shape == (rows, steps, 64)
        assert not found["states"].any()


@pytest.mark.parametrize("ids", [[0, WORDS], [-1, 3], list(range(WORDS)) + [0] * (PLACES - WORDS + 1)])
def test_what_no_table_has_is_told(encoder: Callable[..., native.NativeEncoder], ids: list[int]) -> None:
    with pytest.raises(DamagedBundle, match="a token or a position has no row"):
        encoder(random_layers(), 2)(padded([ids]))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it has threads is the point
def test_a_forked_process_has_helpers_of_its_own(encoder: Callable[..., native.NativeEncoder]) -> None:
    shared, arrays = encoder(random_layers(), 3), padded([[1, 2, 3, 4]])
    before = shared(arrays)["states"]
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    child = fork.Process(target=lambda: theirs.send(shared(arrays)["states"]))
    child.start()
    assert ours.poll(60)
    assert np.array_equal(ours.recv(), before)
    child.join(60)
    assert np.array_equal(shared(arrays)["states"], before)


@pytest.mark.parametrize(
    ("width", "inner", "heads", "fits"),
    [(64, 128, 2, True), (96, 128, 3, False), (64, 96, 2, False), (128, 128, 1, False), (64, 64, 8, False)],
)
def test_only_some_widths_fit(width: int, inner: int, heads: int, fits: bool) -> None:
    assert native.fits(random_layers(width, inner, heads, 1)) is fits


@pytest.mark.parametrize("said", ["off", "OFF", "0", "no", "false"])
def test_it_can_be_switched_off(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.SWITCH, said)
    assert not native.usable()


def test_without_the_library_it_is_not_usable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(native.SWITCH, raising=False)
    monkeypatch.setattr(native, "FILE", tmp_path / "encoder.so")
    native.library.cache_clear()
    try:
        assert not native.usable()
    finally:
        native.library.cache_clear()


@pytest.mark.usefixtures("encoder")
def test_a_processor_without_vnni_has_no_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        def __init__(self, _: str) -> None:
            pass

        tw_supported = staticmethod(lambda: 0)

    monkeypatch.setattr(native.ctypes, "CDLL", Old)
    native.library.cache_clear()
    try:
        assert native.library() is None
    finally:
        native.library.cache_clear()
