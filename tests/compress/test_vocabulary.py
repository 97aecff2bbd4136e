"""Fewer tokens: the same tokens for texts that were seen, for both kinds of tokenizers; what stays and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tunewright.compress import _copy, _scripts, vocabulary
from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons
from tunewright.core import plugins
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.modalities.text import Text
from tunewright.runtime.predictor import Predictor
from tunewright.train.rebuild import rebuild

TEXTS = ["my card was stolen", "where is my refund?"]
SEEN, MAIN, SCRIPTS = vocabulary.SETTINGS


def unigram() -> Tokenizer:
    words = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words += [("▁card", -3.0), ("▁refund", -4.0), ("▁卡", -5.0), ("卡", -6.0), ("card", -7.0), ("привет", -8.0)]
    words += [(letter, -9.0 - at / 10) for at, letter in enumerate("acdefrnux▁я")] + [("!", -20.0)]
    tokenizer = Tokenizer(models.Unigram(words, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> $B </s>", [("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def test_a_unigram_model_keeps_what_was_seen_letters_of_the_script_and_its_least_likely_token() -> None:
    whole = unigram()
    record = json.loads(whole.to_str())
    pieces = vocabulary._pieces(record)
    seen = Counter(whole.encode("card card", add_special_tokens=False).ids)
    stay = _scripts.kept(record, pieces, seen)
    told = {pieces[at] for at in stay}
    assert {"▁card", "!", "a", "x", "▁", "<mask>", "<unk>"} <= told
    assert not told & {"▁refund", "▁卡", "卡", "привет", "я", "card"}
    assert {"▁refund", "card"} <= {pieces[at] for at in _scripts.kept(record, pieces, seen, _scripts.RARE)}
    new = {old: at for at, old in enumerate(sorted(stay))}
    small = Tokenizer.from_str(json.dumps(vocabulary.renumbered(record, pieces, new)))
    assert small.get_vocab_size() == len(stay)
    for text in ("card card", "card ☃ card"):
        assert small.encode(text).ids == [new[at] for at in whole.encode(text).ids]
    assert small.encode("refund").tokens == ["<s>", "▁", *"refund", "</s>"]


def test_texts_seen_get_the_same_answers_to_the_last_bit_and_new_words_still_have_tokens(
    make: Callable[..., Copy], tiny_bundle: Path
) -> None:
    copy = make("vocabulary", SEEN, TEXTS)
    whole, small = Predictor.load(tiny_bundle, 1), Predictor.load(copy.folder, 1)
    for name, logits in small.logits(TEXTS).items():
        assert (logits == whole.logits(TEXTS)[name]).all()
    size = small.modality.tokenizer.get_vocab_size()
    assert size < whole.modality.tokenizer.get_vocab_size()
    table = next(one for one in copy.graph("encoder.text").graph.initializer if one.name == "words.weight")
    assert table.dims[0] == size == copy.manifest.backbone["config"]["vocab_size"]
    assert "[UNK]" not in small.modality.tokenizer.encode("deposit").tokens
    assert small.modality.pad_id == small.modality.tokenizer.token_to_id("[PAD]")


@pytest.fixture(scope="module")
def blended(blend: Callable[[Path], Path], tiny_backbone: Path) -> Path:
    return blend(tiny_backbone)


def test_where_words_stand_beside_the_tokens_their_own_table_stays(blended: Path, tmp_path: Path) -> None:
    copy = Copy.of(blended, tmp_path / "copy", [TEXTS])
    vocabulary.run(copy, SEEN)
    copy.sealed("vocabulary", SEEN, "")
    whole, small = Predictor.load(blended, 1), Predictor.load(copy.folder, 1)
    for name, logits in small.logits(TEXTS).items():
        assert (logits == whole.logits(TEXTS)[name]).all()
    assert small.modality.text.tokenizer.get_vocab_size() < whole.modality.text.tokenizer.get_vocab_size()
    assert small.modality.ngrams.save(tmp_path / "a") == whole.modality.ngrams.save(tmp_path / "b")


@pytest.mark.parametrize("step", ["prune", "distill"])
def test_what_learns_again_says_how_to_fit_without_words(
    blended: Path, step: str, tmp_path: Path, lessons: Callable[..., Lessons]
) -> None:
    remedy = rf"reads text_ngrams\n? *→ fit a bundle without words in it .*, or leave {step} out"
    copy = Copy.of(blended, tmp_path / "copy", [TEXTS], lessons(teacher=blended))
    ways = plugins.load("compress", step)
    with pytest.raises(TunewrightError, match=remedy):
        ways.run(copy, next(iter(ways.SETTINGS)))


def test_gradients_still_find_the_network(make: Callable[..., Copy]) -> None:
    from tunewright.train.rebuild import rebuild

    copy = make("vocabulary", SEEN, TEXTS)
    assert rebuild(copy.folder).encoder.words.weight.shape[0] == copy.manifest.backbone["config"]["vocab_size"]


def test_a_table_of_int8_rows_is_cut_as_well(make: Callable[..., Copy]) -> None:
    copy = make("int8", "per channel")
    before = Predictor.load(copy.folder, 1).logits(TEXTS)
    copy.columns = [TEXTS]
    vocabulary.run(copy, SEEN)
    copy.sealed("vocabulary", SEEN, "")
    after = Predictor.load(copy.folder, 1).logits(TEXTS)
    assert all((one == after[name]).all() for name, one in before.items())
    rows = {one.name: list(one.dims)[:1] for one in copy.graph("encoder.text").graph.initializer}
    assert rows["words.weight_int8"] == rows["words.weight_row_scale"]


def test_another_kind_of_tokenizer_and_other_inputs_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="for Unigram and WordPiece tokenizers, and this one is BPE"):
        vocabulary._pieces({"model": {"type": "BPE", "vocab": {}}, "added_tokens": []})
    copy = Copy.of(tiny_bundle, tmp_path / "copy", [TEXTS])
    object.__setattr__(copy.manifest, "modalities", {"ngrams": {}})
    with pytest.raises(TunewrightError, match="for bundles that read tokens, and this one reads ngrams"):
        vocabulary.run(copy, SEEN)


def test_a_tokenizer_that_cuts_otherwise_is_noticed() -> None:
    from tunewright.modalities.text import Text

    whole = Text(unigram(), 32, pad_id=1)
    same = {at: at for at in range(whole.tokenizer.get_vocab_size())}
    vocabulary._same_tokens(whole, whole, same, [["card"]])
    with pytest.raises(TunewrightError, match="cuts a text otherwise"):
        vocabulary._same_tokens(whole, whole, same | {4: 5}, [["card"]])


def test_what_lies_beside_the_graph_stays_the_network_alone(
    make: Callable[..., Copy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of the table of token types stands in the graph as a constant, which is no tensor of the network."""
    monkeypatch.setattr(_copy, "OUTSIDE", 16)
    copy = make("vocabulary", SEEN, TEXTS)
    assert rebuild(copy.folder).encoder.words.num_embeddings == copy.tensors("encoder.text")["words.weight"].shape[0]


def test_an_encoder_in_two_parts_has_its_words_in_the_lower_one(
    make: Callable[..., Copy], halved_bundles: dict[str, Path]
) -> None:
    bundle = halved_bundles["lora-0"]
    copy = make("vocabulary", SEEN, TEXTS, bundle=bundle)
    assert len(copy.tensors("encoder.text")["words.weight"]) == copy.manifest.backbone["config"]["vocab_size"]
    whole, small = (Predictor.load(folder, 1).logits(TEXTS) for folder in (bundle, copy.folder))
    assert all((logits == whole[name]).all() for name, logits in small.items())
    assert copy.manifest.size_bytes < read_manifest(bundle).size_bytes


def test_of_the_main_scripts_all_tokens_stay_and_of_a_rarer_one_those_that_were_seen() -> None:
    whole = unigram()
    record = json.loads(whole.to_str())
    pieces = vocabulary._pieces(record)
    ids = whole.get_vocab()
    seen = Counter({ids["▁card"]: 100, ids["▁卡"]: 1})
    mainly = {pieces[at] for at in _scripts.kept(record, pieces, seen, vocabulary.WHOLE[MAIN])}
    assert {"▁refund", "card", "▁卡", "卡", "!"} <= mainly
    assert "привет" not in mainly
    seen = Counter({ids["▁卡"]: 100, ids["c"]: 1})
    mainly = {pieces[at] for at in _scripts.kept(record, pieces, seen, vocabulary.WHOLE[MAIN])}
    assert {"卡", "a", "c"} <= mainly
    assert not mainly & {"▁refund", "▁card", "card"}


def test_a_prefix_before_every_text_does_not_make_its_script_a_main_one(
    make: Callable[..., Copy], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Counter[int]] = []

    def kept(record: Any, pieces: dict[int, str], counts: Counter[int], whole: float) -> set[int]:
        seen.append(counts)
        return set(pieces)

    monkeypatch.setattr(vocabulary, "kept", kept)
    copy = make("vocabulary", MAIN, TEXTS)
    text = Text.load(copy.manifest.modalities["text"], copy.folder / "modality" / "text")
    assert seen[0]
    assert not seen[0].keys() & {*text.head, *text.tail}


def test_what_happens_to_new_texts_is_said(make: Callable[..., Copy]) -> None:
    texts = ["my card was stolen", *["where is my refund?"] * 9]
    told = "of 2 texts left out, {} hold a token that the others would not have kept"
    assert told.format("50.0%") in make("vocabulary", SEEN, texts).notes
    assert told.format("0.0%") in make("vocabulary", MAIN, texts, "main").notes
    assert not any("left out" in note for note in make("vocabulary", SEEN, texts[:3], "few").notes)
