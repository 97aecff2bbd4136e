"""Whether the model gives away which rows it has learnt from: membership inference by a threshold on its loss.

Definition: an attacker who has a row and its label asks the model, and says that the row was learnt from if the loss is
small. AUC is how often a training row has a smaller loss than a test row. Advantage is the share of training rows that
are recognised, less the share of test rows that are taken for one, at the mean loss of the training rows.

Formula: loss = -log p of the true label (summed over labels where there may be several; the squared error for numbers).
AUC = P(loss of a training row < loss of a test row), ties count half. Advantage = P(loss ≤ t | training) - P(loss ≤ t |
test), t = mean loss of the training rows.

How to read: 0.5 and 0 say that nothing is given away; 1 and 1 that each row can be told. A larger gap between the score
on training rows and that on test rows gives more away. Rows that occur in both parts are left out. Where the test rows
come from elsewhere than the training rows, that difference is measured too. It is one simple attack: a stronger one may
tell more, and only training with differential privacy (privacy.epsilon) bounds all of them.

Source: Yeom et al. 2018, Privacy Risk in Machine Learning (CSF); interval by a bootstrap over the rows of both parts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Context
from tunewright.audit._intervals import BOOTSTRAP, bias_corrected
from tunewright.audit._losses import attack, losses, not_learnt
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"ask", "train", "inputs", "logits", "truth"})
KINDS = frozenset({"classify", "multilabel", "regress"})
COSTLY = True
REMEDY = "train fewer epochs or a smaller method (probe, top), or with privacy.epsilon"

MOST_ROWS = 2_000
"""Rows of each part that are compared, drawn by the seed."""
FEWEST = 20
DRAWS = 1_000
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return ("membership_auc", "membership_advantage")


def run(context: Context) -> list[Finding]:
    """AUC and advantage of the attack, with the losses of both parts."""
    inside, outside = _members(context), _others(context)
    if len(inside) < FEWEST or len(outside) < FEWEST:
        counts = f"{len(inside)} training rows and {len(outside)} others"
        note = f"not run, because {counts} are too few to compare"
        return [Finding("membership", name, None, note=note) for name in metrics(context.kind)]
    values = attack(inside, outside)
    draws = np.random.default_rng(context.seed)
    drawn = np.array(
        [
            attack(draws.choice(inside, len(inside)), draws.choice(outside, len(outside)))
            for _ in range(DRAWS if len(inside) + len(outside) <= 4_000 else 200)
        ]
    )
    n, note = len(inside) + len(outside), f"{len(inside)} training rows against {len(outside)} others"
    exhibits: tuple[tuple[Exhibit, ...], ...] = ((_losses(inside, outside),), ())
    return [
        Finding(
            "membership",
            name,
            values[at],
            *bias_corrected(values[at], drawn[:, at]),
            n,
            source=BOOTSTRAP,
            note=note,
            exhibits=exhibits[at],
        )
        for at, name in enumerate(metrics(context.kind))
    ]


def _members(context: Context) -> NDArray[np.float64]:
    train = context.train
    if not train.inputs:
        return np.zeros(0)
    rows = np.sort(np.random.default_rng(context.seed).permutation(len(train))[:MOST_ROWS])
    columns = {name: [values[row] for row in rows.tolist()] for name, values in train.inputs.items()}
    return losses(context.kind, np.asarray(context.ask(columns)), np.asarray(train.truth)[rows])


def _others(context: Context) -> NDArray[np.float64]:
    """Rows that were not learnt from: those whose input occurs in training are left out."""
    rows = np.sort(np.random.default_rng(context.seed).permutation(not_learnt(context))[:MOST_ROWS])
    return losses(context.kind, context.logits[rows], np.asarray(context.truth)[rows])


def _losses(inside: Array, outside: Array) -> Exhibit:
    parts = (("training rows", inside), ("others", outside))
    rows = tuple(
        (name, *(float(one) for one in np.quantile(values, QUANTILES)), float(values.mean())) for name, values in parts
    )
    columns = ("part", *(f"{share:.0%}" for share in QUANTILES), "mean")
    return Exhibit("Losses of both parts", "table", columns, rows, "quantiles; alike is good")


ZH_DOC = """模型是否透露了它学过哪些行：用损失阈值做成员推断。

定义：攻击者手里有一行数据及其标签，询问模型，若损失小就断言该行参与了训练。AUC 指训练行的损失小于测试行的损失的比例。
优势指以训练行的平均损失为阈值时，被认出的训练行比例减去被误认的测试行比例。

公式：损失 = -log 真实标签的概率（可有多个标签时对标签求和；数值任务用平方误差）。AUC = P(训练行损失 < 测试行损失)，
相等各算一半。优势 = P(损失 ≤ t | 训练) - P(损失 ≤ t | 测试)，t = 训练行的平均损失。

解读：0.5 与 0 表示没有透露；1 与 1 表示每一行都能被认出。训练与测试得分差距越大，透露越多。两部分都有的行已去掉。若测试
行与训练行来源不同，这种差异也会被计入。这只是一种简单的攻击，更强的攻击可能得知更多；只有差分隐私训练
（privacy.epsilon）能给所有攻击设定上限。

出处：Yeom et al. 2018, Privacy Risk in Machine Learning (CSF)；区间由对两部分行的自助法得出。
"""

ZH = {
    REMEDY: "减少训练轮数，改用较小的方法（probe、top），或使用 privacy.epsilon",
    "membership_auc": "成员推断 AUC",
    "membership_advantage": "成员推断优势",
    "{} training rows against {} others": "{} 条训练行对 {} 条其他行",
    "not run, because {} training rows and {} others are too few to compare": (
        "未运行，因为 {} 条训练行与 {} 条其他行太少，无法比较"
    ),
    "Losses of both parts": "两部分的损失",
    "quantiles; alike is good": "分位数；相近为好",
    "part": "部分",
    "mean": "平均",
    **{f"{share:.0%}": f"{share:.0%} 分位" for share in QUANTILES},
}
