"""A stronger attack on membership: models that the attacker fits teach what a row costs that was not learnt from.

Definition: four shadow models of the same make are fitted, each on a random half of the training rows. What a row costs
the model is set against what it costs those shadow models that did not learn from it: a row that is easy for all is no
member for that. From which difference on a row is called a member is learnt on the shadow models alone, of which it is
known what they have learnt from. AUC is how often a training row lies below a test row; advantage is the share of the
training rows that are called members, less that of the test rows.

Formula: d(x) = loss of the model on x - mean loss on x of two shadow models without x. AUC = P(d of a training row < d
of a test row), ties count half. Advantage = P(d ≤ t | training) - P(d ≤ t | test), t = the limit with the largest
advantage over all shadow models, each held against the others.

How to read: as `membership`, which asks the model alone: 0.5 and 0 say that nothing is given away. The attacker here
knows the rows and how the model was made, but not its weights, so this is nearer to the worst case. Four shadow models
are few; attacks with hundreds tell more, and only privacy.epsilon bounds all of them.

Source: Shokri et al. 2017, Membership Inference Attacks Against Machine Learning Models (S&P); Watson et al. 2022, On
the Importance of Difficulty Calibration in Membership Inference Attacks (ICLR); interval by a bootstrap over the rows
of both parts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Columns, Context
from tunewright.audit._intervals import BOOTSTRAP, bias_corrected
from tunewright.audit._losses import advantage, area, losses, not_learnt
from tunewright.core.types import Array, Exhibit, Finding, Kind

NEEDS = frozenset({"ask", "fit", "train", "inputs", "logits", "truth", "scores"})
KINDS = frozenset({"classify", "multilabel", "regress"})
COSTLY = True
ON_REQUEST = True
REMEDY = "train fewer epochs or a smaller method (probe, top), or with privacy.epsilon"

SHADOWS = 4
"""Each row is learnt from by half of them, so that two have not seen it."""
MOST_ROWS = 2_000
"""Rows of each part that are compared, drawn by the seed."""
FEWEST = 50
"""Training rows below which halves are too small to learn from, and test rows below which nothing is said."""
DRAWS = 200
NAMES = ("shadow_auc", "shadow_advantage")

Floats = NDArray[np.float64]


def metrics(kind: Kind) -> tuple[str, ...]:
    """Names of the findings."""
    return NAMES


def run(context: Context) -> list[Finding]:
    """AUC and advantage of the attack, with what each shadow model would have told."""
    outside = not_learnt(context)
    if len(context.train) < FEWEST or len(outside) < FEWEST or not context.train.inputs:
        note = f"not run, because {len(context.train)} training rows and {len(outside)} others are too few to compare"
        return [Finding("shadow", name, None, note=note) for name in NAMES]
    draws = np.random.default_rng(context.seed)
    outside = np.sort(draws.permutation(outside)[:MOST_ROWS])
    inside = np.sort(draws.permutation(len(context.train))[:MOST_ROWS])
    learnt = halves(len(context.train), draws)
    at_home, abroad = _costs(context, learnt, inside, outside)
    own = losses(context.kind, np.asarray(context.ask(taken(context.train.inputs, inside))), _truth(context, inside))
    others = losses(context.kind, context.logits[outside], np.asarray(context.truth)[outside])
    member, pairs = learnt[:, inside], draws.permuted(np.tile(learnt[:, :1], len(outside)), axis=0)
    one, other = own - without(at_home, member), others - without(abroad, pairs)
    limits = [taught(at_home, member, shadow) for shadow in range(SHADOWS)]
    limit = float(np.mean([at for at, _ in limits]))
    return _findings(one, other, limit, [best for _, best in limits], context.seed)


def halves(rows: int, draws: np.random.Generator) -> NDArray[np.bool_]:
    """bool (SHADOWS, rows): which shadow model learns from which row; half of them from each."""
    order = np.argsort(draws.random((SHADOWS, rows)), axis=0)
    return np.asarray(order < SHADOWS // 2)


def without(costs: Floats, learnt: NDArray[np.bool_]) -> Floats:
    """(n,): mean over the shadow models that have not learnt from a row; both are (s, n)."""
    free = ~learnt
    return np.asarray((costs * free).sum(0) / np.maximum(free.sum(0), 1))


def taught(costs: Floats, learnt: NDArray[np.bool_], shadow: int) -> tuple[float, float]:
    """The limit with the largest advantage where one shadow model is attacked by means of the others, and that one.

    costs, learnt : (s, n), of training rows
    """
    rest = np.arange(len(costs)) != shadow
    free = ~learnt[rest]
    kept = free.any(0)
    apart = costs[shadow, kept] - without(costs[rest][:, kept], learnt[rest][:, kept])
    member = learnt[shadow, kept]
    order = np.argsort(apart, kind="stable")
    inside = np.cumsum(member[order]) / max(int(member.sum()), 1)
    outside = np.cumsum(~member[order]) / max(int((~member).sum()), 1)
    best = int(np.argmax(inside - outside))
    return float(apart[order[best]]), float((inside - outside)[best])


def _costs(context: Context, learnt: NDArray[np.bool_], inside: Array, outside: Array) -> tuple[Floats, Floats]:
    """Losses of the shadow models (s, n) on training rows and on others."""
    found: list[tuple[Floats, Floats]] = []
    parts = taken(context.train.inputs, inside), taken(context.inputs, outside)
    truths = _truth(context, inside), np.asarray(context.truth)[outside]
    for shadow, rows in enumerate(learnt):
        kind, ask = _fitted(context.fit, np.flatnonzero(rows), context.seed + 1 + shadow)
        one, other = (losses(kind, np.asarray(ask(part)), truth) for part, truth in zip(parts, truths, strict=True))
        found.append((one, other))
    return np.stack([one for one, _ in found]), np.stack([other for _, other in found])


def _fitted(fit: Any, rows: NDArray[np.int64], seed: int) -> tuple[Kind, Callable[[Columns], Array]]:
    found: tuple[Kind, Callable[[Columns], Array]] = fit(rows, seed)
    return found


def taken(columns: Columns, rows: Array) -> dict[str, list[Any]]:
    """Some rows of columns."""
    return {name: [values[row] for row in rows.tolist()] for name, values in columns.items()}


def _truth(context: Context, rows: Array) -> Array:
    return np.asarray(np.asarray(context.train.truth)[rows])


def _findings(inside: Floats, outside: Floats, limit: float, best: list[float], seed: int) -> list[Finding]:
    draws = np.random.default_rng(seed)
    drawn = np.array(
        [
            (area(one, other), advantage(one, other, limit))
            for one, other in (
                (draws.choice(inside, len(inside)), draws.choice(outside, len(outside))) for _ in range(DRAWS)
            )
        ]
    )
    n, note = len(inside) + len(outside), f"{len(inside)} training rows against {len(outside)} others"
    rows = tuple((str(at), value) for at, value in enumerate(best, 1))
    table = Exhibit("Shadow models", "table", ("shadow model", "advantage over it"), rows)
    values = area(inside, outside), advantage(inside, outside, limit)
    return [
        Finding(
            "shadow",
            name,
            value,
            *bias_corrected(value, drawn[:, at]),
            n,
            source=BOOTSTRAP,
            note=note,
            exhibits=(table,) if not at else (),
        )
        for at, (name, value) in enumerate(zip(NAMES, values, strict=True))
    ]


ZH_DOC = """更强的成员推断：攻击者自己训练影子模型，从中得知没有学过的行应有多大损失。

定义：训练四个同样做法的影子模型，每个只用随机一半的训练行。把一行在该模型上的损失，与没有学过它的影子模型上的损失相比：
对谁都容易的行并不因此是成员。差值小到多少才称为成员，只从影子模型学得，因为它们学过哪些行是已知的。AUC 指训练行的差值
低于测试行的比例；优势指被称为成员的训练行比例减去测试行比例。

公式：d(x) = 模型在 x 上的损失 - 两个没有学过 x 的影子模型的平均损失。AUC = P(训练行的 d < 测试行的 d)，相等各算一半。
优势 = P(d ≤ t | 训练) - P(d ≤ t | 测试)，t = 在全部影子模型上优势最大的界限，每个影子模型由其余的来攻击。

解读：与 membership 相同，后者只询问模型本身：0.5 与 0 表示没有透露。这里的攻击者知道数据和模型的做法，但不知道权重，
所以更接近最坏情形。四个影子模型不算多；用几百个的攻击能得知更多，只有 privacy.epsilon 能给所有攻击设定上限。

出处：Shokri et al. 2017, Membership Inference Attacks Against Machine Learning Models (S&P)；Watson et al. 2022, On the
Importance of Difficulty Calibration in Membership Inference Attacks (ICLR)；区间由对两部分行的自助法得出。
"""

ZH = {
    REMEDY: "减少训练轮数，改用较小的方法（probe、top），或使用 privacy.epsilon",
    "shadow_auc": "影子模型攻击 AUC",
    "shadow_advantage": "影子模型攻击优势",
    "{} training rows against {} others": "{} 条训练行对 {} 条其他行",
    "not run, because {} training rows and {} others are too few to compare": (
        "未运行，因为 {} 条训练行与 {} 条其他行太少，无法比较"
    ),
    "Shadow models": "影子模型",
    "shadow model": "影子模型",
    "advantage over it": "对它的优势",
}
