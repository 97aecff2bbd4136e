"""The card: what the model is for, who is affected, how it was made and how good it is, in both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.types import Finding
from tunewright.report import words
from tunewright.report.blocks import facts, predicted, results, reviewed, stated
from tunewright.report.document import Document, Part, Text, markdown
from tunewright.report.html import headline, in_a_sentence, stamped
from tunewright.report.words import Pair

STATED: dict[str, Pair] = {
    "intended_use": ("Intended use", "预期用途"),
    "out_of_scope_use": ("Out-of-scope use", "不可用于"),
    "affected": ("Who is affected", "受影响的人"),
    "oversight": ("Human oversight", "人工监督"),
    "limits": ("Limits", "局限"),
    "training_data": ("Training data: origin and consent", "训练数据：来源与同意"),
    "licence": ("Licence", "许可"),
    "contact": ("Contact", "联系人"),
}
"""Fields of ``[card]`` and their headings, in the order of the card."""


def card(record: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    """The card as Markdown, in English and then in Chinese."""
    return markdown(document(record, findings))


def document(record: Mapping[str, Any], findings: Sequence[Finding]) -> Document:
    """The card as a document."""
    own = record.get("card") or {}
    parts = {name: Part(title, [stated(own, name)]) for name, title in STATED.items()}
    parts["oversight"] = Part(STATED["oversight"], [stated(own, "oversight"), reviewed(record.get("review") or {})])
    return Document(
        record["name"],
        ("Model card", "模型卡"),
        [
            Part(("What it predicts", "预测内容"), [predicted(record)]),
            *(parts[name] for name in ("intended_use", "out_of_scope_use", "affected", "oversight", "limits")),
            Part(("Results", "结果"), [results(findings)]),
            Part(("How it was made", "模型的来历"), _made(record)),
            *(parts[name] for name in ("training_data", "licence", "contact")),
        ],
        [lead(record, findings)],
    )


def lead(record: Mapping[str, Any], findings: Sequence[Finding]) -> Text:
    """The verdict, and the first metric in a sentence."""
    stamp, sentence = stamped(record), in_a_sentence(headline(findings)) or ("", "")
    said = _both(stamp["verdict"])
    return Text((f"{said[0]} {sentence[0]}".strip(), said[1] + sentence[1]), _both(stamp["state"]))


def _made(record: Mapping[str, Any]) -> list[Any]:
    backbone = record["backbone"]
    licence = backbone.get("licence")
    english = ", ".join(
        filter(None, [backbone.get("name", "–"), licence and f"licence {licence}", backbone.get("digest")])
    )
    chinese = "，".join(
        filter(None, [backbone.get("name", "–"), licence and f"许可 {licence}", backbone.get("digest")])
    )
    found = [str(issue["problem"]) for issue in record["check"]]
    return [
        facts(
            ("Method", "方法", record["method"].get("name", "–")),
            ("Pretrained model", "预训练模型", (english, chinese)),
            ("Data", "数据", record["data"]),
            ("Random seed", "随机种子", record["seed"]),
            *(("The check of the rows found", "数据检查的发现", problem) for problem in found),
        )
    ]


def _both(text: str) -> Pair:
    return text, words.translate(text)
