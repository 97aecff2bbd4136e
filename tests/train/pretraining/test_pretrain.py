"""Pretraining: what is hidden, the tied head, the contrastive loss, windows of long texts, the folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from tunewright.backbones._load import load
from tunewright.backbones._vocabulary import NarrowWords
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import read_task
from tunewright.train.device import threads
from tunewright.train.feed import NO_TRUTH
from tunewright.train.loop import descend
from tunewright.train.pretraining import _contrast, _masked
from tunewright.train.pretraining._corpus import Pretraining, windows_of
from tunewright.train.pretraining._masked import MaskedHead, Masking, row_loss
from tunewright.train.pretraining.pretrain import pretrain, write_backbone

Make = Callable[..., Pretraining]
MASK, PAD, CLS, SEP = 4, 0, 2, 3
"""Ids of the tiny backbone."""


@pytest.fixture(scope="module")
def texts(sample_rows: dict[str, list[dict[str, str]]]) -> pl.Series:
    return pl.Series("text", sorted({row["text"] for row in sample_rows["support_train.csv"]}))


@pytest.fixture
def make(tiny_backbone: Path, texts: pl.Series, tmp_path: Path) -> Iterator[Make]:
    """``make({"fit.epochs": 1})``: 180 sample texts to learn from, the others held out."""

    def made(
        settings: dict[str, Any] | None = None, *, columns: int = 1, backbone: Path = tiny_backbone
    ) -> Pretraining:
        own = {"fit.backbone": str(backbone), "fit.threads": 1, "fit.precision": "fp32", "fit.batch_rows": 16}
        task, _ = read_task(None, own | (settings or {}))
        loaded, found = load(str(backbone), task.fit)
        run = Run(tmp_path, tmp_path / "out", 5.0)
        modality: Any = loaded.modality
        shuffled = texts.sample(fraction=1.0, shuffle=True, seed=0)
        partners = shuffled.str.split(" ").list.reverse().list.join(" ")
        both = [shuffled, partners][:columns]
        train, held_out = (
            windows_of([one[part] for one in both], modality, run) for part in (slice(0, 180), slice(180, None))
        )
        return Pretraining(loaded, found, modality, train, held_out, task, run, torch.device("cpu"), bf16=False)

    with threads(1):
        yield made


def masking(**own: Any) -> Masking:
    """Of 100 ids the first five are special, and one token at the start of a window is never hidden."""
    ordinary = torch.ones(100, dtype=torch.bool)
    ordinary[:5] = False
    plain = {"mask_id": MASK, "first": 1, "ordinary": ordinary}
    return Masking(**plain | {"strangers": torch.arange(5, 100), "lookup": torch.arange(100)} | own)


def batch(rows: int, words: int) -> dict[str, torch.Tensor]:
    """Windows ``[CLS] words [SEP]`` and two paddings."""
    ids = torch.randint(5, 100, (rows, words), generator=torch.Generator().manual_seed(1))
    ends = [torch.full((rows, 1), one) for one in (CLS, SEP, PAD, PAD)]
    ids = torch.cat([ends[0], ids, *ends[1:]], 1)
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


# ── what is hidden ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_fifteen_percent_are_hidden_of_these_eighty_ten_and_ten() -> None:
    arrays = batch(3000, 47)
    shown, truth = masking().hide(arrays, torch.Generator().manual_seed(0))
    picked, ids, new = shown["picked"], arrays["input_ids"], shown["input_ids"]
    n = int(picked.sum())
    assert n / (3000 * 47) == pytest.approx(0.15, abs=0.001), "rounding by lot: 7 or 8 of 47, 7.05 in the mean"
    assert set(picked.sum(1).tolist()) == {7, 8}
    assert torch.equal(truth == NO_TRUTH, ~picked)
    assert torch.equal(truth[picked], ids[picked])
    assert torch.equal(new[~picked], ids[~picked])
    mask, same = new[picked] == MASK, new[picked] == ids[picked]
    by_chance = 0.1 / 95  # a stranger may be the token itself
    for found, share in ((mask, 0.8), (same, 0.1 + by_chance), (~mask & ~same, 0.1 - by_chance)):
        assert float(found.float().mean()) == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
    places = picked[:, 1:48].float().mean(0)
    assert float((places - 0.15).abs().max()) < 5 * math.sqrt(0.15 * 0.85 / 3000), "no place is preferred"
    strangers = new[picked][~mask & ~same].bincount(minlength=100)
    assert (strangers[:5] == 0).all()
    assert (strangers[5:] > 0).all(), "any ordinary token may stand in"


@pytest.mark.parametrize(("words", "counts"), [(1, {1}), (3, {1}), (6, {1}), (10, {1, 2}), (20, {3}), (30, {4, 5})])
def test_of_short_windows_one_token_at_least(words: int, counts: set[int]) -> None:
    shown, _ = masking().hide(batch(200, words))
    assert set(shown["picked"].sum(1).tolist()) == counts


def test_special_tokens_padding_and_prefix_are_never_hidden(make: Make) -> None:
    given = make({"fit.prefix": "query: "})
    assert len(given.modality.prefix_ids) >= 2
    encoder = given.copy_of_encoder(MASK)
    hiding = _masked.masking_of(given, encoder, MASK)
    everything = torch.zeros(0, dtype=torch.long)
    for draw in range(40):
        arrays = {"input_ids": torch.tensor([[*given.modality.head, 1, 7, 8, 9, 3, 0]] * 8)}
        arrays["attention_mask"] = (arrays["input_ids"] != PAD).long()
        shown, _ = hiding.hide(arrays, torch.Generator().manual_seed(draw))
        everything = torch.cat([everything, shown["picked"].nonzero()[:, 1]])
    first = len(given.modality.head)
    assert set(everything.tolist()) == {first + 1, first + 2, first + 3}, "[UNK] is special too"
    used = set(encoder.words.used.tolist())  # type: ignore[union-attr]
    assert set(hiding.strangers.tolist()) == used - {0, 1, 2, 3, 4}


def test_a_window_of_special_tokens_alone_costs_nothing() -> None:
    arrays = {"input_ids": torch.tensor([[2, 1, 3], [2, 9, 3]]), "attention_mask": torch.ones(2, 3, dtype=torch.long)}
    shown, truth = masking().hide(arrays)
    assert shown["picked"].tolist() == [[False] * 3, [False, True, False]]
    losses = row_loss(torch.zeros(1, 100), truth)
    assert losses.tolist() == pytest.approx([0.0, math.log(100)])


def test_what_is_hidden_is_drawn_anew_from_the_state_that_checkpoints_keep() -> None:
    arrays, hiding = batch(20, 30), masking()
    state = torch.get_rng_state()
    one, other = (hiding.hide(arrays)[0]["input_ids"] for _ in range(2))
    torch.set_rng_state(state)
    assert torch.equal(hiding.hide(arrays)[0]["input_ids"], one)
    assert not torch.equal(one, other)


# ── the tied head ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_logits_and_loss_are_those_of_the_transformers_module(make: Make, tiny_backbone: Path) -> None:
    """BertForMaskedLM with the same weights: logits of the tokens that occur, the loss over the whole vocabulary."""
    from transformers import BertConfig, BertForMaskedLM

    given = make()
    _, model, _ = _masked.course(given)
    reference = BertForMaskedLM(BertConfig.from_pretrained(tiny_backbone)).eval()
    loaded = load(str(tiny_backbone), given.task.fit)[0]
    from tunewright.backbones.bert import NAMES, shape_of

    theirs = NAMES.theirs(loaded.encoder.state_dict(), shape_of(loaded.config))
    reference.bert.load_state_dict(theirs, strict=False)
    head = model.head
    words: Any = model.encoder.words
    rest = torch.ones(given.whole.shape.vocabulary, dtype=torch.bool)
    rest[words.used] = False
    with torch.no_grad():
        for one in (head.bias, head.rest_bias, head.norm.weight, head.norm.bias):
            one.add_(torch.randn_like(one))
        predictions = reference.cls.predictions
        predictions.transform.dense.load_state_dict(head.dense.state_dict())
        predictions.transform.LayerNorm.load_state_dict(head.norm.state_dict())
        predictions.bias[words.used], predictions.bias[rest] = head.bias, head.rest_bias
        hiding = _masked.masking_of(given, model.encoder, MASK)
        index = np.arange(12)
        arrays = given.modality.batch(given.train, index)
        shown, truth = hiding.hide({name: torch.from_numpy(value) for name, value in arrays.items()})
        model.eval()
        logits = model(**shown)
        labels = torch.where(shown["picked"], torch.from_numpy(arrays["input_ids"]), -100)
        theirs = reference(input_ids=shown["input_ids"], attention_mask=shown["attention_mask"], labels=labels)
    assert int(rest.sum()) > 0
    torch.testing.assert_close(logits[:, :-1], theirs.logits[shown["picked"]][:, words.used], atol=1e-4, rtol=1e-4)
    loss = functional.cross_entropy(logits, truth[shown["picked"]])
    assert float(loss) == pytest.approx(float(theirs.loss), abs=1e-4)


@torch.no_grad()
def test_the_softmax_is_that_of_the_whole_vocabulary() -> None:
    generator = torch.Generator().manual_seed(0)
    table, states = (torch.randn(rows, 8, generator=generator) for rows in (50, 6))
    used, rest = torch.arange(0, 50, 2), torch.arange(1, 50, 2)
    torch.manual_seed(0)
    head = MaskedHead(8, 1e-12, 25, table[rest])
    truth = torch.tensor([0, 3, 24, 8, 11, 11])
    loss = functional.cross_entropy(head(states, table[used]), truth)
    hidden = head.norm(functional.gelu(head.dense(states)))
    assert float(loss) == pytest.approx(float(functional.cross_entropy(hidden @ table.T, used[truth])), abs=1e-5)
    narrow = MaskedHead(8, 1e-12, 25, None)
    narrow.load_state_dict(head.state_dict(), strict=False)
    assert narrow(states, table[used]).shape == (6, 25)
    assert float(functional.cross_entropy(narrow(states, table[used]), truth)) < float(loss)


def test_above_a_limit_the_softmax_is_over_the_tokens_that_occur(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _, exact, told = _masked.course(make())
    assert told["softmax"] == "the whole vocabulary"
    monkeypatch.setattr(_masked, "FULL_SOFTMAX", 10)
    _, narrow, told = _masked.course(make())
    assert told["softmax"] == "the tokens that occur"
    assert (exact.head.rest is None, narrow.head.rest) == (False, None)


def test_the_output_layer_is_the_word_table_itself(make: Make) -> None:
    given = make()
    course, model, told = _masked.course(given)
    words = model.encoder.words
    assert isinstance(words, NarrowWords)
    tables = [name for name, one in model.named_parameters() if one.shape == words.table.weight.shape]
    assert tables == ["encoder.words.table.weight"]
    assert told["tokens"] == len(words.used) < told["vocabulary"]
    ids = torch.tensor([[CLS, 7, MASK, 9, SEP]])
    picked = torch.tensor([[False, False, True, False, False]])
    model.eval()
    used = set(words.used.tolist())
    absent = next(one for one in sorted(used) if one > 9)
    model(ids, torch.ones_like(ids), picked)[0, words.lookup[absent]].backward()
    gradient = words.table.weight.grad
    assert gradient is not None
    assert float(gradient[words.lookup[absent]].abs().sum()) > 0, "the token is not in the input"
    before = model(ids, torch.ones_like(ids), picked).detach()
    with torch.no_grad():
        words.table.weight[words.lookup[absent]] += 1.0
    changed = (model(ids, torch.ones_like(ids), picked).detach() != before)[0].nonzero()[:, 0].tolist()
    assert changed == [int(words.lookup[absent])]
    assert [group.get("share", 1.0) for group in course.groups(model, 0.01)] == [1.0, 1.0, 10.0, 10.0]


def test_a_rows_loss_is_the_mean_over_its_hidden_tokens() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(5, 7)).astype(np.float32)
    truth = np.full((3, 4), NO_TRUTH)
    truth[0, [1, 2]], truth[1, 3], truth[2, [0, 1]] = [3, 0], 6, [2, 2]
    of = [3, 0, 6, 2, 2]
    each = [-(row[one] - np.log(np.exp(row).sum())) for row, one in zip(logits.astype(np.float64), of, strict=True)]
    expected = [(each[0] + each[1]) / 2, each[2], (each[3] + each[4]) / 2]
    found = row_loss(torch.from_numpy(logits), torch.from_numpy(truth))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


# ── contrast ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("groups", "apart"),
    [
        ([[0], [1], [2], [3]], []),
        ([[0], [1], [0], [3]], [(0, 2)]),
        ([[0, 5], [1, 6], [2, 6], [3, 7]], [(1, 2)]),
    ],
)
def test_the_contrastive_loss_as_a_formula(groups: list[list[int]], apart: list[tuple[int, int]]) -> None:
    """−log (e^(cos(z, z')/0.05) / Σ e^(cos(z, z'')/0.05)), the sum over the rows with other texts."""
    draws = np.random.default_rng(0)
    one, other = draws.normal(size=(2, 4, 6))
    expected = []
    for row in range(4):
        cosines = [one[row] @ z / np.linalg.norm(one[row]) / np.linalg.norm(z) / 0.05 for z in other]
        left_out = {second for pair in apart for first, second in (pair, pair[::-1]) if first == row}
        expected.append(np.log(sum(np.exp(c) for at, c in enumerate(cosines) if at not in left_out)) - cosines[row])
    sides = [torch.from_numpy(z / np.linalg.norm(z, axis=1, keepdims=True)) for z in (one, other)]
    losses = _contrast.partner_loss(_contrast.similarity(*sides), torch.tensor(groups))
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-4)


def test_a_lone_row_has_nothing_to_tell_apart() -> None:
    assert _contrast.partner_loss(torch.tensor([[3.0]]), torch.tensor([[0]])).tolist() == [0.0]


def test_the_two_views_differ_by_dropout_alone_and_are_pooled_as_the_backbone_says(make: Make) -> None:
    given = make()
    course, model, _ = _contrast.simcse(given)
    arrays = course.feed.inputs(np.arange(5), given.device)
    assert torch.equal(arrays["input_ids"], arrays["pair_ids"])
    one, other = model.train().sides(**arrays)
    assert not torch.equal(one, other)
    one, other = model.eval().sides(**arrays)
    assert torch.equal(one, other)
    states, mask = given.whole.eval()(arrays["input_ids"], arrays["attention_mask"])
    pooled = (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(one, pooled / pooled.norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-5)


def test_without_dropout_two_views_would_be_one(make: Make, tiny_backbone: Path, tmp_path: Path) -> None:
    still = copied(tiny_backbone, tmp_path / "still", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    with pytest.raises(TunewrightError, match=r"its dropout is 0.*→ pass --objective masked"):
        _contrast.simcse(make(backbone=still))


def copied(backbone: Path, folder: Path, **config: Any) -> Path:
    folder.mkdir()
    for path in backbone.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(told | config), encoding="utf-8")
    return folder


# ── training ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("objective", "columns", "gain"), [(_masked.course, 1, 1.0), (_contrast.simcse, 1, 0.02), (_contrast.pairs, 2, 0.3)]
)
def test_what_is_held_out_is_told_better_after_training(objective: Any, columns: int, gain: float, make: Make) -> None:
    given = make({"fit.epochs": 4, "fit.learning_rate": 2e-3, "fit.average": 0.0}, columns=columns)
    course, model, _ = objective(given)
    best, facts = descend(course, model)
    assert course.judge(model)[0] == best.score == max(facts["scores"])
    assert best.score > facts["scores"][0] + gain


@pytest.mark.parametrize("objective", [_masked.course, _contrast.simcse])
def test_judging_draws_the_same_each_time_and_nothing_from_the_training(objective: Any, make: Make) -> None:
    course, model, _ = objective(make())
    state = torch.get_rng_state()
    assert course.judge(model) == course.judge(model)
    assert torch.equal(torch.get_rng_state(), state)


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_long_texts_are_cut_and_nothing_is_lost(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.train.pretraining._corpus.CHUNK_TEXTS", 2)
    given = make({"fit.max_tokens": 12})
    texts = ["where is my parcel?", "please cancel the order " * 9, "\u200b", "thanks", "where is it? " * 5]
    windows = windows_of([pl.Series(texts)], given.modality, given.run)
    assert windows.cost.max() == 12
    row = np.asarray(windows.data["row"])
    assert set(row.tolist()) == {0, 1, 3, 4}, "the one without a word is left out"
    for at in (0, 1, 3, 4):
        inner = [one for window in np.flatnonzero(row == at) for one in windows.data["input_ids"][int(window)][1:-1]]
        assert inner == given.modality.tokenizer.encode(texts[at], add_special_tokens=False).ids
    assert windows.share().tolist() == [1.0] * len(windows)


def test_pairs_of_long_texts_become_several_pairs(make: Make) -> None:
    given = make({"fit.max_tokens": 8})
    columns = [
        pl.Series(["the order", "where is my parcel " * 5, "thanks", "\u200b"]),
        pl.Series(["a " * 14, "b", "c", "d"]),
    ]
    windows = windows_of(columns, given.modality, given.run)
    left, right = windows.data["input_ids"], windows.data["pair_ids"]
    row = np.asarray(windows.data["row"]).tolist()
    assert row == sorted(row)
    assert set(row) == {0, 1, 2}
    assert row.count(0) == math.ceil(14 / 6)
    assert [left[at].tolist() for at in range(3)] == [left[0].tolist()] * 3
    assert [one for at in range(3) for one in right[at][1:-1]] == given.modality.tokenizer.encode("a " * 14).ids[1:-1]
    feed = _contrast.feed_of(windows, given.modality)
    losses = _contrast.partner_loss(torch.zeros(3, 3), feed.truth(np.arange(3), given.device))
    assert losses.tolist() == [0.0] * 3, "windows of one pair are no negatives of each other"
    assert feed.windows.cost.tolist() == (left.lengths + right.lengths).tolist()  # type: ignore[union-attr]


# ── the folder ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tokens_that_do_not_occur_keep_their_rows(make: Make, texts: pl.Series) -> None:
    given = make({"fit.epochs": 1, "fit.learning_rate": 1e-3, "fit.average": 0.0})
    parts = [texts[:40], texts[40:60]]
    done = pretrain(given.backbone, given.found, parts[:1], parts[1:], "masked", given.task, given.run)
    used = torch.zeros(given.whole.shape.vocabulary, dtype=torch.bool)
    ids = given.modality.windows([texts[:60].to_list()]).data["input_ids"]
    used[torch.from_numpy(ids.values.astype(np.int64))] = True  # type: ignore[union-attr]
    used[[PAD, MASK]] = True
    before, after = given.whole.words.weight, done.encoder.words.weight
    assert done.facts["best_step"] > 0
    assert torch.equal(after[~used], before[~used])
    changed = (after != before).any(1)
    assert changed[used].float().mean() > 0.9
    assert set(done.encoder.state_dict()) == set(given.whole.state_dict())


def test_a_backbone_without_mask_token_can_only_be_contrasted(make: Make, tiny_backbone: Path, tmp_path: Path) -> None:
    folder = copied(tiny_backbone, tmp_path / "maskless")
    told = (folder / "tokenizer.json").read_text(encoding="utf-8").replace("[MASK]", "[HOLE]")
    (folder / "tokenizer.json").write_text(told, encoding="utf-8")
    with pytest.raises(TunewrightError, match=r"its tokenizer has no mask token → pass --objective simcse"):
        _masked.course(make(backbone=folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"mask_token": {"content": "[HOLE]"}}), encoding="utf-8")
    course, _, _ = _masked.course(make(backbone=folder))
    assert course.name == "masked"


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_pooling_prefix_and_window_are_those_of_the_backbone(
    pooling: str, make: Make, tiny_backbone: Path, tmp_path: Path
) -> None:
    source = copied(tiny_backbone, tmp_path / "e5-tiny")
    (source / "sentence_bert_config.json").write_text(
        json.dumps({"pooling": pooling, "max_seq_length": 20}), encoding="utf-8"
    )
    given = make({"fit.max_tokens": 10}, backbone=source)
    write_backbone(tmp_path / "new", given.backbone, given.found, given.whole, {"licence": "MIT"})
    loaded, found = load(str(tmp_path / "new"), read_task(None, {})[0].fit)
    assert loaded.pooling == pooling
    modality: Any = loaded.modality
    assert (modality.prefix, modality.max_tokens, modality.pad_id) == ("query: ", 20, PAD)
    assert found.licence == "MIT"
    assert loaded.config == given.backbone.config


def test_a_network_that_is_no_text_encoder_is_refused(make: Make, texts: pl.Series) -> None:
    from dataclasses import replace

    given = make()
    strange = replace(given.backbone, encoder=torch.nn.Linear(2, 2), family="pictures")
    with pytest.raises(TunewrightError, match=r"\(family pictures\) is no text encoder that can be pretrained"):
        pretrain(strange, given.found, [texts], [texts], "masked", given.task, given.run)


def test_texts_without_a_word_are_refused(make: Make) -> None:
    given, blank = make(), pl.Series(["\u200b"] * 4)
    with pytest.raises(TunewrightError, match="none of the training texts has a word in it"):
        pretrain(given.backbone, given.found, [blank], [blank], "simcse", given.task, given.run)
