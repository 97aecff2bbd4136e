"""The evidence pack: what a bundle knows, under the headings of Annex IV of the EU AI Act (technical documentation).

The headings name what Regulation (EU) 2024/1689 asks of providers of high-risk systems (Article 11). Under each stands
what was measured or written down here; what is not known is said to be so. It proves no conformity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.types import Finding
from tunewright.report import annex
from tunewright.report.card import lead
from tunewright.report.document import Document, Part, Text
from tunewright.report.words import Pair

HEADINGS: tuple[Pair, ...] = (
    ("1. General description of the AI system", "1. 人工智能系统的一般描述"),
    ("2. Elements of the AI system and the process of its development", "2. 系统各组成部分及其开发过程的详细描述"),
    ("3. Monitoring, functioning and control", "3. 系统的监测、运行与控制"),
    ("4. Appropriateness of the performance metrics", "4. 性能指标的适当性"),
    ("5. Risk management system", "5. 风险管理体系"),
    ("6. Relevant changes through the lifecycle", "6. 生命周期内的相关变更"),
    ("7. Standards applied", "7. 所采用的标准"),
    ("8. EU declaration of conformity", "8. 欧盟符合性声明"),
    ("9. Post-market monitoring", "9. 上市后监测"),
)

ABOUT: Pair = (
    (
        "Ordered by the headings of Annex IV to Regulation (EU) 2024/1689 (technical documentation, Article 11). It "
        "holds what was measured and what the task states, and says where nothing is known. It is no declaration of "
        "conformity; the law may have been amended, so compare the headings with its current text."
    ),
    (
        "按欧盟第 2024/1689 号条例附件四（技术文档，第 11 条）的标题编排。内容为测得的结果与任务中的说明，"
        "未知之处均予注明。本文件不是符合性声明；法律可能已修订，请与现行文本核对标题。"
    ),
)


def evidence(
    about: Mapping[str, Any], record: Mapping[str, Any], findings: Sequence[Finding], *, audited: str = ""
) -> Document:
    """The evidence pack as a document.

    Parameters
    ----------
    about : a bundle's manifest as a mapping
    record : of its report; findings : those of the report, and of a later audit
    audited : the digest of the data of that audit
    """
    made = (
        annex.general,
        annex.development,
        annex.monitoring,
        annex.metrics,
        annex.risks,
        annex.changes,
        annex.standards,
        annex.conformity,
        annex.market,
    )
    told = annex.Told(about, record, findings, audited)
    parts = [Part(title, make(told)) for title, make in zip(HEADINGS, made, strict=True)]
    kind = ("Evidence pack by EU AI Act Annex IV", "按欧盟《人工智能法》附件四编排的证据包")
    return Document(record["name"], kind, parts, [Text(ABOUT), lead(record, findings)])
