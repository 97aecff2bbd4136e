"""The whole line, one file per segment; each verb takes values and returns values.

describe   a task from a file, arguments and settings          tasks.py
check      rows → what stops a fit, what only should be known   parts.py
pretrain   texts without labels → a backbone folder            pretrain.py
fit        task, rows → learnt → judged → released or refused   release.py
tune       the same with many settings, the best released      tune.py
evaluate   bundle, labelled rows → findings                     judge.py
audit      model, rows → findings of every audit, gates held      audit.py
compress   bundle, rows → a smaller one, judged, or refused      compress.py
compare    two bundles, labelled rows → findings, a sentence     compare.py
predict    bundle, rows → rows with answers                     use.py
explain    bundle, text → what each word speaks for the answer   explain.py
speed      bundle → rows per second, latency, cold start, share of the peak   speed.py
show       bundle → what it is and how good it is               use.py
card       bundle → its model card and evidence pack           card.py
export     bundle → a folder for other programs                 use.py
"""

from tunewright.pipeline.audit import audit
from tunewright.pipeline.card import card
from tunewright.pipeline.compare import compare
from tunewright.pipeline.compress import compress
from tunewright.pipeline.explain import explain
from tunewright.pipeline.judge import evaluate
from tunewright.pipeline.parts import check
from tunewright.pipeline.pretrain import pretrain
from tunewright.pipeline.release import fit
from tunewright.pipeline.speed import speed
from tunewright.pipeline.steps import NotCompressed
from tunewright.pipeline.tasks import describe
from tunewright.pipeline.tune import tune
from tunewright.pipeline.use import export, predict, show

__all__ = [
    "NotCompressed",
    "audit",
    "card",
    "check",
    "compare",
    "compress",
    "describe",
    "evaluate",
    "explain",
    "export",
    "fit",
    "predict",
    "pretrain",
    "show",
    "speed",
    "tune",
]
