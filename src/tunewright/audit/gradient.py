"""An attack that knows the weights: how often a small shift of the embedded words turns a right answer into another.

Definition: of rows that are answered rightly 100 are drawn by the seed. The embeddings of the tokens of a row, as one
vector, are shifted against the answer, along the gradient of its log-odds, by 2, 5 and 10 % of its length.

Formula: fallen = rows that are answered otherwise after the shift / rows attacked. v' = v - ε ‖v‖ g / ‖g‖, g = gradient
of the answer's log-odds by v.

How to read: no text has such embeddings, so this is no attack that anybody can make on a service; it measures how near
the answers lie to others in the direction that is worst for them. Compare models of the same backbone, such as with and
without objectives.fgm, which trains against just this. A share near 1 at 2 % says that the answers hang by a thread. A
shift along a gradient that is nearly 0 tells little, so a low share alone is no proof: look at `attack` and
`robustness`, too.

Source: Goodfellow et al. 2015, Explaining and Harnessing Adversarial Examples (ICLR); Miyato et al. 2017, Adversarial
Training Methods for Semi-Supervised Text Classification (ICLR); interval of Wilson 1927 (JASA 22).
"""

from __future__ import annotations

import numpy as np

from tunewright.audit._altered import FEWEST, same
from tunewright.audit._context import Context
from tunewright.audit._intervals import WILSON, wilson
from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.core.types import Exhibit, Finding, Kind

NEEDS = frozenset({"shift", "inputs", "logits"})
KINDS = frozenset({"classify"})
COSTLY = True
REMEDY = "train with --set objectives.fgm=0.3 or objectives.pgd=0.3, and compare on the same rows"

ROWS = 100
"""Rows that are attacked at most."""
LENGTHS = {"2": 0.02, "5": 0.05, "10": 0.1}
"""Name in the metric, in % → share of the length of a row's embeddings."""
NO_GRADIENTS = "not run, because the model has no gradients"


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return tuple(f"fallen_{name}" for name in LENGTHS)


def run(context: Context) -> list[Finding]:
    """The share that falls at each length, with a curve over more of them."""
    if context.shift is None:
        return _silent(context, NO_GRADIENTS)
    decided = np.asarray(context.decided)
    right = np.ones(len(decided), bool) if context.truth is None else same(decided, context.truth)
    rows = np.sort(np.random.default_rng(context.seed).permutation(np.flatnonzero(right))[:ROWS])
    if len(rows) < FEWEST:
        return _silent(context, f"not run, because only {len(rows)} rows are answered rightly")
    columns = {name: [values[row] for row in rows.tolist()] for name, values in context.inputs.items()}
    try:
        answers = context.shift(columns, decided[rows], (0.0, *LENGTHS.values()))
    except MissingExtra:
        raise
    except TunewrightError:
        return _silent(context, NO_GRADIENTS)
    kept = answers[0] == decided[rows]  # the rebuilt network and the graphs may part where two labels are level
    fallen, n = answers[1:, kept] != decided[rows][kept], int(kept.sum())
    counts = fallen.sum(1).tolist()
    table = Exhibit(
        "Rows that fall", "table", ("shift", "rows", "share"),
        tuple((f"{name} %", count, count / max(n, 1)) for name, count in zip(LENGTHS, counts, strict=True)),
    )  # fmt: skip
    return [
        Finding(
            "gradient",
            f"fallen_{name}",
            count / max(n, 1),
            *wilson(count, n),
            n,
            source=WILSON,
            note=f"only {n} rows are attacked" if n < ROWS else "",
            exhibits=(table,) if name == next(iter(LENGTHS)) else (),
        )
        for name, count in zip(LENGTHS, counts, strict=True)
    ]


def _silent(context: Context, note: str) -> list[Finding]:
    return [Finding("gradient", name, None, note=note) for name in metrics(context.kind)]


ZH_DOC = """知道权重的攻击：把词的嵌入稍微移动，有多少答对的答案会变成别的答案。

定义：从答对的行中按种子抽取 100 行。把一行全部词元的嵌入看作一个向量，沿其答案对数几率的梯度，朝不利于答案的方向移动该
向量长度的 2 %、5 % 与 10 %。

公式：倒下率 = 移动后答案改变的行 / 受攻击的行。v' = v - ε ‖v‖ g / ‖g‖，g 为答案的对数几率对 v 的梯度。

解读：没有文本具有这样的嵌入，所以这不是能对服务发起的攻击；它衡量在最不利的方向上，答案离别的答案有多近。请比较同一
骨干网络的模型，例如有无 objectives.fgm（它正是针对这一点训练的）。若 2 % 时已接近 1，说明答案悬于一线。梯度几乎为 0 时
移动说明不了什么，所以低倒下率本身不是证明：也请看 attack 与 robustness。

出处：Goodfellow et al. 2015, Explaining and Harnessing Adversarial Examples (ICLR)；Miyato et al. 2017, Adversarial
Training Methods for Semi-Supervised Text Classification (ICLR)；区间用 Wilson 1927 (JASA 22)。
"""

ZH = {
    REMEDY: "训练时加上 --set objectives.fgm=0.3 或 objectives.pgd=0.3，并在相同的数据上比较",
    **{f"fallen_{name}": f"移动 {name} % 时的倒下率" for name in LENGTHS},
    NO_GRADIENTS: "未运行，因为该模型没有梯度",
    "not run, because only {} rows are answered rightly": "未运行，因为只有 {} 行答对",
    "only {} rows are attacked": "只有 {} 行受到攻击",
    "Rows that fall": "倒下的行",
    "shift": "移动",
    "rows": "行数",
    "share": "比例",
}
