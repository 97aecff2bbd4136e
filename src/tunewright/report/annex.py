"""What a bundle knows under each of the nine headings of Annex IV of the EU AI Act; see ``evidence.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.types import Finding
from tunewright.report.blocks import facts, gates, outside, predicted, results, reviewed, stated
from tunewright.report.card import STATED
from tunewright.report.document import Block, Table, Text, alike
from tunewright.report.sections import sections
from tunewright.report.words import Pair, number

SECURE: Pair = (
    (
        "Every file of the bundle is compared with its sha256 when it is loaded; code that comes with a model is never "
        "run. The digests tell damage, not forgery."
    ),
    "加载时每个文件都与其 sha256 比较；从不运行随模型附带的代码。摘要能发现损坏，不能发现伪造。",
)
CHANGED: Pair = (
    "Any change of the model changes the digest. `tunewright compare OLD NEW ROWS` tells what a new one changes.",
    "模型的任何变化都会改变摘要。`tunewright compare OLD NEW ROWS` 可测量新版本的变化。",
)


class Told:
    """What the headings are filled from."""

    def __init__(
        self, about: Mapping[str, Any], record: Mapping[str, Any], findings: Sequence[Finding], audited: str
    ) -> None:
        self.about, self.record, self.findings, self.audited = about, record, findings, audited
        self.card: Mapping[str, Any] = record.get("card") or {}
        self.run: Mapping[str, Any] = about.get("run") or {}
        self.task: Mapping[str, Any] = about.get("task") or {}

    def stated(self, name: str) -> Text:
        return stated(self.card, name, STATED[name])


def general(told: Told) -> list[Block]:
    """What it is, for whom, in which form."""
    about, size = told.about, f"{sum(int(one['size_bytes']) for one in told.about['files'].values()) / 1e6:.1f} MB"
    return [
        *(told.stated(name) for name in ("intended_use", "out_of_scope_use", "affected", "contact", "licence")),
        facts(
            ("Name", "名称", about["name"]),
            ("Version (digest of the bundle)", "版本（模型包摘要）", about["digest"]),
            ("Made", "生成时间", told.run.get("created")),
        ),
        predicted(told.record),
        facts(
            (
                "Forms of supply",
                "提供形式",
                (f"a folder of {len(about['files'])} files, {size}; Python, command line, HTTP service",
                 f"一个文件夹，{len(about['files'])} 个文件，{size}；Python、命令行、HTTP 服务"),
            ),
            ("Software versions", "软件版本", told.run.get("versions")),
            ("Hardware", "硬件", (f"an ordinary CPU; fitted on {told.run.get('machine', '–')}",
                                 f"普通 CPU；训练于 {told.run.get('machine', '–')}")),
            ("User interface", "用户界面", ("the page of the service, its documentation at /docs, the command line",
                                        "服务的网页、/docs 上的文档、命令行")),
        ),
        outside("the provider's name and address, the products that it is a part of, and instructions beyond this pack",
                "提供者的名称与地址、包含本系统的产品，以及本文件之外的使用说明"),
    ]  # fmt: skip


def development(told: Told) -> list[Block]:
    """How it was made, from what, and how it was tested."""
    about, data = told.about, told.about["data"]
    backbone = {key: value for key, value in about["backbone"].items() if key not in ("config", "notes")}
    method = {key: value for key, value in about["method"].items() if not isinstance(value, Mapping | list)}
    return [
        facts(
            ("Method and its facts", "方法及其要点", method),
            ("Pretrained model of a third party", "第三方预训练模型", backbone),
            ("Parts", "组成部分", list(about["parts"])),
        ),
        *_rungs(told.record.get("rungs") or []),
        told.stated("training_data"),
        facts(
            ("Training rows", "训练行", data.get("train_rows")),
            ("Validation rows", "验证行", data.get("validation_rows")),
            ("Test rows", "测试行", data.get("test_rows")),
            ("Judged on", "评估所用数据", data.get("judged_on")),
            ("Digest of the data", "数据摘要", data.get("digest")),
            ("How parts were cut", "数据划分方式", told.task.get("split")),
            *(("The check of the rows found", "数据检查的发现", one.get("problem")) for one in told.record["check"]),
        ),
        facts(
            ("Random seed", "随机种子", told.run.get("seed")),
            ("Seconds of the fit", "训练秒数", told.run.get("seconds")),
            ("Most memory", "内存峰值", _megabytes(told.run.get("peak_rss_bytes"))),
            ("The exported graphs against the trained model", "导出图与训练模型的比较", _flat(told.run.get("export"))),
            ("Every setting and its source", "全部设置及其来源", ("in report.json", "见 report.json")),
        ),
        Text(SECURE, ("Cybersecurity", "网络安全")),
        outside("how the rows were labelled and cleaned before they came here, and who signed the test reports",
                "数据在进入本工具之前如何标注与清洗，以及测试报告由谁签署"),
    ]  # fmt: skip


def monitoring(told: Told) -> list[Block]:
    """What it can and cannot do, for whom, and who watches it."""
    inputs = ", ".join(f"{name} ({modality})" for name, modality in told.about["inputs"].items())
    own = [one for one in told.findings if one.audit == "review"]
    grouped = [one for one in told.findings if one.audit in ("fairness", "counterfactual") and one.value is not None]
    return [
        told.stated("limits"),
        told.stated("affected"),
        told.stated("oversight"),
        reviewed(told.record.get("review") or {}),
        *([results(own, whole=False)] if own else []),
        *([results(grouped, whole=False)] if grouped else [_no_groups()]),
        facts(("Specification of inputs", "输入规范", inputs)),
        outside("unintended outcomes in the place of use, and risks to health, safety and fundamental rights",
                "使用现场的意外后果，以及对健康、安全与基本权利的风险"),
    ]  # fmt: skip


def _no_groups() -> Text:
    said = (
        "Accuracy for groups of persons: not measured; set audit.groups.",
        "对不同人群的准确性：未测量；请设置 audit.groups。",
    )
    return Text(said, missing=True)


def metrics(told: Told) -> list[Block]:
    """Every finding, and what it means."""
    measured = [section for section in sections(told.findings) if section.doc]
    meaning = Table(
        (("Audit", "审计"), ("What is measured", "测量内容"), ("How to read it", "如何解读")),
        tuple((one.title, one.doc.get("definition", one.summary), one.doc.get("read", alike("–"))) for one in measured),
    )
    later = [Text(("Findings of a later audit are among them; digest of its data: " + told.audited,
                   "其中包括后来一次审计的结果；其数据摘要：" + told.audited))] if told.audited else []  # fmt: skip
    return [
        results(told.findings, whole=False),
        *later,
        *([meaning] if measured else []),
        outside("whether these metrics fit the purpose: weigh them against what an error costs where it is used",
                "这些指标是否适合其用途：请结合使用场合中错误的代价来判断"),
    ]  # fmt: skip


def risks(told: Told) -> list[Block]:
    """The gates, and what was not measured."""
    silent = [(one.title, one.say(why)) for one in sections(told.findings) for why in _reasons(one.findings)]
    return [
        gates(told.findings),
        *([Table((("Not measured", "未测得"), ("Why", "原因")), tuple(silent))] if silent else []),
        outside("the provider's risk management (Article 9): risks found, measures taken, risk that remains",
                "提供者的风险管理（第 9 条）：识别的风险、采取的措施、剩余风险"),
    ]  # fmt: skip


def _reasons(findings: Sequence[Finding]) -> list[str]:
    """Why something has no value, each reason once."""
    return list(dict.fromkeys(one.note for one in findings if one.value is None))


def changes(told: Told) -> list[Block]:
    """Which version this is."""
    return [
        facts(
            ("This version", "本版本", told.about["digest"]),
            ("Format of the bundle", "模型包格式", str(told.about["format"])),
        ),
        Text(CHANGED),
        outside("earlier and later versions, and why they were changed", "更早和更晚的版本，以及变更的原因"),
    ]  # fmt: skip


def standards(told: Told) -> list[Block]:
    """Nothing that a tool could know."""
    return [outside("which harmonised standards or other specifications are applied", "采用了哪些协调标准或其他规范")]


def conformity(told: Told) -> list[Block]:
    """Nothing that a tool could know."""
    return [outside("whether there is a declaration of conformity (Article 47): add a copy here",
                    "是否有符合性声明（第 47 条）：请在此附上副本")]  # fmt: skip


def market(told: Told) -> list[Block]:
    """What there is to watch it by."""
    kept = [name for name in told.about["files"] if name == "reference.json"]
    return [
        facts(
            ("Reference for drift, written at fit", "训练时写下的漂移基准", kept),
            ("Figures of the service", "服务指标", ("GET /metrics: requests, errors, answers that need review",
                                                "GET /metrics：请求、错误、需人工复核的回答")),
        ),
        told.stated("contact"),
        outside("the plan and the records of monitoring after release (Article 72)",
                "上市后监测的计划与记录（第 72 条）"),
    ]  # fmt: skip


def _rungs(rungs: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not rungs:
        return []
    heads = (
        ("Method that was tried", "尝试过的方法"),
        ("Validation score", "验证得分"),
        ("Seconds", "秒数"),
        ("Kept", "采用"),
    )
    rows = [
        (
            *map(alike, (one["method"], number(one["score"]), number(one["seconds"]))),
            ("yes", "是") if one["kept"] else ("no", "否"),
        )
        for one in rungs
    ]
    return [Table(heads, tuple(rows))]


def _megabytes(size_bytes: Any) -> str:
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes else ""


def _flat(tree: Any) -> Any:
    return {key: one for key, one in (tree or {}).items() if not isinstance(one, Mapping | list)}
