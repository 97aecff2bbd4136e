"""Personal data in the rows: how many hold an address, a number, a date of birth, in training and in judged rows.

Definition: e-mail addresses, phone numbers, payment cards, bank accounts (IBAN), IP addresses, Chinese identity
numbers, US social security numbers, and dates of birth that are said to be some, known by their form. A number that
has a checksum counts only where it is right.

Formula: share = rows with at least one / rows. "Unmasked" counts those that the model reads: with privacy.mask it reads
a token in the place of what is named there.

How to read: a model can give away what it has learnt by heart, and rows with personal data must be kept, shown and
deleted as the law has it. 0 does not mean that there are none: names and places have no form, and are looked for only
with privacy.names and Presidio; numbers without a checksum (phone, IP, SSN) may be something else. Where they stand is
listed in the row file beside the bundle, with tokens instead of values.

Source: ISO/IEC 7812-1 (cards), ISO 13616 (accounts), GB 11643-1999 (Chinese identity numbers); interval of Wilson 1927
(JASA 22).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.audit import _presidio
from tunewright.audit._context import Columns, Context
from tunewright.audit._intervals import WILSON, wilson
from tunewright.core.personal import PII
from tunewright.core.types import Exhibit, Finding, Kind
from tunewright.modalities._pii import Found, find, mask

NEEDS = frozenset({"inputs"})
KINDS = None
REMEDY = "mask them for the model (--set privacy.mask=all), and take them out of the rows that are kept"

MOST_ROWS = 50_000
"""Rows of each part that are looked at, drawn by the seed."""
SHOWN = 100
AROUND = 30
"""Characters shown before and behind what is found."""
TRAINING, JUDGED = "training rows", "judged rows"
TELL = "names and places were not looked for"


@dataclass(frozen=True)
class Hit:
    """Personal data in one row: where the row lies, and what is found in which text."""

    part: str
    place: str
    text: str
    found: tuple[Found, ...]


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("share", "unmasked")


def run(context: Context) -> list[Finding]:
    """The share of rows with personal data: of all, of each part, of each kind; and what of it the model reads."""
    parts = {JUDGED: (context.inputs, context.place)}
    if context.train is not None and context.train.inputs:
        parts = {TRAINING: (context.train.inputs, lambda row: f"training row {row + 1}"), **parts}
    sizes, hits = {}, []
    for part, (inputs, place) in parts.items():
        drawn = _drawn(inputs, context.seed)
        sizes[part] = len(drawn)
        hits += [one for row in drawn if (one := _hit(part, inputs, row, place)) is not None]
    names, note = _names(context, parts)
    if not sum(sizes.values()):
        return [Finding("pii", name, None, note="there are no rows") for name in metrics(context.kind)]
    return _findings(context, hits, names, sizes, note)


def _findings(context: Context, hits: list[Hit], names: list[Hit], sizes: dict[str, int], note: str) -> list[Finding]:
    n = sum(sizes.values())
    exhibits = (_counts([*hits, *names], sizes), _places([*hits, *names]))
    hidden = set(getattr(getattr(context.task, "privacy", None), "mask", ()))
    read = [one for one in hits if {found.name for found in one.found} - hidden]
    out = [_share("share", len(hits), n, note=note, exhibits=exhibits), _share("unmasked", len(read), n)]
    out += [_share("share", sum(one.part == part for one in hits), size, part) for part, size in sizes.items() if size]
    for name in PII:
        having = sum(name in {found.name for found in one.found} for one in hits)
        out += [_share("share", having, n, name)] if having else []
    return out


def _share(metric: str, hits: int, n: int, part: str = "", **more: Any) -> Finding:
    return Finding("pii", metric, hits / n, *wilson(hits, n), n, slice=part, source=WILSON, **more)


def _drawn(inputs: Columns, seed: int) -> list[int]:
    count = len(next(iter(inputs.values()), ()))
    return sorted(np.random.default_rng(seed).permutation(count)[:MOST_ROWS].tolist())


def _hit(part: str, inputs: Columns, row: int, place: Callable[[int], str]) -> Hit | None:
    text = _text(inputs, row)
    found = find(text)
    return Hit(part, place(row), text, tuple(found)) if found else None


def _text(inputs: Columns, row: int) -> str:
    return "\n".join(values[row] for values in inputs.values() if isinstance(values[row], str))


def _names(context: Context, parts: dict[str, tuple[Columns, Callable[[int], str]]]) -> tuple[list[Hit], str]:
    """Names and places, where the task asks for them, and what is to be said of that."""
    if not getattr(getattr(context.task, "privacy", None), "names", False):
        return [], TELL
    if not _presidio.installed():
        return [], f"{TELL}: presidio-analyzer is not installed"
    rows = [
        (part, place(row), _text(inputs, row))
        for part, (inputs, place) in parts.items()
        for row in _drawn(inputs, context.seed)[: _presidio.MOST_TEXTS // len(parts)]
    ]
    try:
        found = list(_presidio.names_in([text for _, _, text in rows], context.language or "en"))
    except Exception as error:  # it fails in its own ways, such as a language model that is missing
        return [], f"{TELL}: presidio-analyzer failed ({type(error).__name__})"
    hits = [Hit(*row, tuple(one)) for row, one in zip(rows, found, strict=True) if one]
    return hits, f"{len(hits)} of {len(rows)} rows hold a name or a place"


def _counts(hits: Sequence[Hit], sizes: dict[str, int]) -> Exhibit:
    kinds = sorted({found.name for one in hits for found in one.found})
    rows = tuple(
        (name, *(sum(one.part == part and _holds(one, name) for one in hits) for part in sizes)) for name in kinds
    )
    return Exhibit("Rows by what they hold", "table", ("kind", *sizes), rows)


def _holds(hit: Hit, name: str) -> bool:
    return any(one.name == name for one in hit.found)


def _places(hits: Sequence[Hit]) -> Exhibit:
    rows = tuple(
        (one.place, one.part, found.name, _excerpt(one.text, found, one.found)) for one in hits for found in one.found
    )
    columns = ("place", "part", "kind", "around it")
    return Exhibit("Where personal data stand", "table", columns, rows[:SHOWN], private=True)


def _excerpt(text: str, one: Found, found: Iterable[Found]) -> str:
    """What stands around it, with tokens in the place of this and all others."""
    before, after = text[: one.start], text[one.end :]
    for other in sorted(found, reverse=True):
        if other.end <= one.start:
            before = f"{before[: other.start]}<{other.name}>{before[other.end :]}"
        elif other.start >= one.end:
            start, end = other.start - one.end, other.end - one.end
            after = f"{after[:start]}<{other.name}>{after[end:]}"
    around = f"{mask(before)[-AROUND:]}<{one.name}>{mask(after)[:AROUND]}"
    return " ".join(around.split())


ZH_DOC = """数据中的个人信息：训练行与被评估的行中，有多少含有地址、号码或出生日期。

定义：电子邮箱、电话号码、支付卡号、银行账号（IBAN）、IP 地址、中国身份证号、美国社会保障号，以及注明为出生日期的日期，
均按形式识别。有校验码的号码，只有校验正确才算。

公式：占比 = 至少含一项的行数 / 总行数。“未遮盖”只计模型实际读到的：设置 privacy.mask 后，模型读到的是记号，
而不是所列的信息。

解读：模型可能泄露它死记的内容；含个人信息的行须依法保存、展示与删除。0 并不表示没有：姓名与地点没有固定形式，只有设置
privacy.names 并安装 Presidio 才会查找；没有校验码的号码（电话、IP、社会保障号）也可能是别的东西。所在位置见模型包旁边的
逐行文件，其中以记号代替原值。

出处：ISO/IEC 7812-1（卡号）、ISO 13616（账号）、GB 11643-1999（公民身份号码）；Wilson 1927（JASA 22）区间。
"""

ZH = {
    REMEDY: "为模型遮盖它们（--set privacy.mask=all），并从保存的数据中去掉",
    "share": "含个人信息的行",
    "unmasked": "模型读到的（未遮盖）",
    TRAINING: "训练行",
    JUDGED: "被评估的行",
    TELL: "没有查找姓名与地点",
    f"{TELL}: presidio-analyzer is not installed": "没有查找姓名与地点：未安装 presidio-analyzer",
    f"{TELL}: presidio-analyzer failed ({{}})": "没有查找姓名与地点：presidio-analyzer 运行失败（{}）",
    "{} of {} rows hold a name or a place": "{1} 行中有 {0} 行含有姓名或地点",
    "Rows by what they hold": "各类个人信息的行数",
    "Where personal data stand": "个人信息所在位置",
    "kind": "种类",
}
