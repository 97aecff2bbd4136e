"""Tiny tokenizers of the three families, built on the spot; property tests may take their time."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

WORDS = ("query", "the", "card", "cards", "document", "doc", "lost", "money")
SIGNS = (*string.ascii_letters, *string.digits, *string.punctuation, "卡", "钱")

Build = Callable[[], Tokenizer]


def wordpiece() -> Tokenizer:
    """As BERT: lower case, words cut into pieces, ``[CLS]`` and ``[SEP]`` around."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *SIGNS, *(f"##{sign}" for sign in SIGNS)]
    tokenizer = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return surrounded(tokenizer, "[CLS]", "[SEP]")


def unigram() -> Tokenizer:
    """As XLM-RoBERTa and E5: a space belongs to the word after it."""
    scored = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), ("▁", -3.0)]
    scored += [(f"▁{word}", -2.0) for word in WORDS] + [(sign, -5.0) for sign in SIGNS]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return surrounded(tokenizer, "<s>", "</s>")


def byte_pairs() -> Tokenizer:
    """As RoBERTa: bytes, some of them merged."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<s>", "<pad>", "</s>", *alphabet, "th", "the", "Ġc", "Ġca", "do", "doc"]
    merges = [("t", "h"), ("th", "e"), ("Ġ", "c"), ("Ġc", "a"), ("d", "o"), ("do", "c")]
    tokenizer = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return surrounded(tokenizer, "<s>", "</s>")


def surrounded(tokenizer: Tokenizer, first: str, last: str) -> Tokenizer:
    specials = [(name, tokenizer.token_to_id(name)) for name in (first, last)]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=specials)
    return tokenizer


@pytest.fixture(scope="session")
def tokenizers() -> Mapping[str, Build]:
    return {"wordpiece": wordpiece, "unigram": unigram, "byte_pairs": byte_pairs}


@pytest.fixture(scope="session", params=["wordpiece", "unigram", "byte_pairs"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def build(tokenizers: Mapping[str, Build], family: str) -> Build:
    return tokenizers[family]
