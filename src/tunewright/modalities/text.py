"""Text: tokenised by the backbone's own fast tokenizer; long texts become several windows, nothing is cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from tokenizers import Tokenizer

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Ragged, Windows
from tunewright.modalities._pii import masked
from tunewright.modalities._strings import encodable, half_pair, no_text

AT_ONCE = 8_192
"""Texts that are cut at once: what the tokenizer makes of a text takes a hundred times the memory of its tokens."""
FEW = 4
"""Texts up to which the tokenizer's threads take longer to wake than to work."""


@dataclass(frozen=True)
class Text:
    """Strings → windows of token ids.

    max_tokens : longest window, with its special tokens
    prefix : text put before every row, such as ``query: `` for E5
    separator : what stands between the texts of several columns
    mask : kinds of personal data that are read as a token, see ``_pii.py``; offsets count in the text as it is read
    """

    tokenizer: Tokenizer
    max_tokens: int
    pad_id: int = 0
    prefix: str = ""
    separator: str = "\n"
    mask: tuple[str, ...] = ()
    head: tuple[int, ...] = field(init=False)
    """Ids that start every window: special tokens, then those of the prefix."""
    tail: tuple[int, ...] = field(init=False)
    prefix_ids: tuple[int, ...] = field(init=False)

    reads: ClassVar[str] = "text"
    unit: ClassVar[str] = "tokens"
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "input_ids": ("rows", "tokens"),
        "attention_mask": ("rows", "tokens"),
    }

    def __post_init__(self) -> None:
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        specials = self.tokenizer.encode("a")
        inner = [at for at, special in enumerate(specials.special_tokens_mask) if not special] or [len(specials.ids)]
        object.__setattr__(self, "prefix_ids", self._prefix_ids())
        object.__setattr__(self, "head", (*specials.ids[: inner[0]], *self.prefix_ids))
        object.__setattr__(self, "tail", tuple(specials.ids[inner[-1] + 1 :]))
        if self.max_tokens <= len(self.head) + len(self.tail):
            raise TunewrightError(
                f"fit.max_tokens = {self.max_tokens} leaves no room for a word",
                "set it to at least 16, or leave it out",
            )

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        more = {"mask": tuple(settings.get("mask", ()))}
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), **{**settings, **more})

    def save(self, folder: Path) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        settings = {name: getattr(self, name) for name in ("max_tokens", "pad_id", "prefix", "separator")}
        return settings | ({"mask": list(self.mask)} if self.mask else {})

    def as_read(self, columns: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The columns as the model reads them: with personal data masked."""
        return masked(columns, self.mask)

    def windows(self, columns: Sequence[Sequence[Any]]) -> Windows:
        """columns: one list of n strings per input column.

        ``spans`` hold each token's character offsets in the row's text (columns joined); special tokens have (0, 0).

        Raises
        ------
        TunewrightError
            A value is no string, or holds half of a surrogate pair; its row is named.
        """
        columns = self.as_read(columns)
        texts = (
            columns[0]
            if len(columns) == 1
            else [_joined(at, row, self.separator) for at, row in enumerate(zip(*columns, strict=True))]
        )
        cut = [self._cut(texts[start : start + AT_ONCE], start) for start in range(0, len(texts) or 1, AT_ONCE)]
        ids, spans, lengths, owner = (
            cut[0] if len(cut) == 1 else (np.concatenate(parts) for parts in zip(*cut, strict=True))
        )
        starts = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        return Windows(
            rows=len(texts),
            owner=owner,
            cost=lengths,
            data={"input_ids": Ragged(ids, starts)},
            spans=Ragged(spans, starts),
        )

    def _cut(self, texts: Sequence[Any], first: int) -> tuple[Array, Array, Array, Array]:
        """Windows of some texts, the first of which is row ``first``, end to end: ids and spans of their tokens, their
        lengths and their rows."""
        room = self.max_tokens - len(self.head) - len(self.tail)
        blank = [(0, 0)]
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        lengths, owner = [], []
        for row, encoding in enumerate(self._encode(texts, first), first):
            found = encoding.ids  # each time a list of its own
            skip = self._prefix_length(found)
            own, offsets = found[skip:], encoding.offsets[skip:]
            for start in range(0, max(len(own), 1), room):
                before = len(ids)
                ids += [*self.head, *own[start : start + room], *self.tail]
                spans += blank * len(self.head) + offsets[start : start + room] + blank * len(self.tail)
                lengths.append(len(ids) - before)
                owner.append(row)
        in_text = np.array(spans, np.int32).reshape(-1, 2)
        if self.prefix:
            in_text = np.maximum(in_text - np.int32(len(self.prefix)), 0)
        return np.array(ids, np.int32), in_text, np.array(lengths, np.int64), np.array(owner, np.int64)

    def batch(self, windows: Windows, index: Array) -> dict[str, Array]:
        """input_ids, attention_mask : int64 (b, t)"""
        input_ids = windows.data["input_ids"]
        assert isinstance(input_ids, Ragged)
        ids, mask = input_ids.padded(index, self.pad_id)
        return {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}

    def crop(self, windows: Windows, index: Array, least: int, draws: Array) -> Windows:
        """The windows at ``index``, of each long one a random part, without spans.

        least : tokens of text up to which a window stays whole; a part has no fewer, and at least half of the window's
        draws : float64 (b, 2) in [0, 1), how long the part of each is and where it begins
        """
        ids = windows.data["input_ids"]
        assert isinstance(ids, Ragged)
        before, behind = len(self.head), len(self.tail)
        lengths = ids.lengths[index] - before - behind
        low = np.maximum(lengths // 2, least)
        kept = np.where(lengths > least, low + (draws[:, 0] * (lengths - low + 1)).astype(np.int64), lengths)
        first = before + (draws[:, 1] * (lengths - kept + 1)).astype(np.int64)
        parts = [
            np.concatenate([own[:before], own[start : start + count], own[len(own) - behind :]])
            for own, start, count in zip((ids[at] for at in index.tolist()), first.tolist(), kept.tolist(), strict=True)
        ]
        cut = Ragged.of(parts, ids.values.dtype)
        return Windows(len(index), np.arange(len(index)), cut.lengths, {"input_ids": cut})

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text as one window would hold them, special tokens and prefix included."""
        around = len(self.head) + len(self.tail)
        return [around + len(one.ids) - self._prefix_length(one.ids) for one in self._encode(self.as_read([texts])[0])]

    def _prefix_ids(self) -> tuple[int, ...]:
        # The space that ends a prefix belongs to the word after it in SentencePiece, to nothing in WordPiece.
        return tuple(self.tokenizer.encode(self.prefix.rstrip(), add_special_tokens=False).ids)

    def _prefix_length(self, ids: list[int]) -> int:
        """Tokens of the prefix at the start of a row; none where it melts into the row's first word."""
        own = self.prefix_ids
        return len(own) if tuple(ids[: len(own)]) == own else 0

    def _encode(self, texts: Sequence[Any], first: int = 0) -> list[Any]:
        try:
            prefixed = [self.prefix + text for text in texts]
            if len(prefixed) <= FEW:
                return [self.tokenizer.encode(text, add_special_tokens=False) for text in prefixed]
            return self.tokenizer.encode_batch(prefixed, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            for row, text in enumerate(texts, first):
                if not isinstance(text, str):
                    raise no_text(row, text) from None
                if not encodable(text):
                    raise half_pair(row) from None
            raise


def _joined(at: int, row: Sequence[Any], separator: str) -> str:
    for text in row:
        if text is not None and not isinstance(text, str):
            raise no_text(at, text)
    return separator.join(text or "" for text in row)
