"""``card.md``: what the model is for, how it was made and how good it is, for model hubs and for the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.types import Finding
from tunewright.report import words
from tunewright.report.html import environment, gate_rows, headline, in_a_sentence, state, verdict
from tunewright.report.sections import sections


def card(record: Mapping[str, Any], findings: Sequence[Finding]) -> str:
    """The card as Markdown, in English and then in Chinese."""
    return (
        environment()
        .get_template("card.md.j2")
        .render(
            record=record,
            sections=[section for section in sections(findings) if any(not one.slice for one in section.findings)],
            sentence=in_a_sentence(headline(findings)),
            gates=gate_rows(findings),
            state=_both(state(record["verdict"])),
            verdict=_both(verdict(record["verdict"])),
            md=plain,
            translate=words.translate,
            pick=lambda pair, at: plain(pair[at]),
        )
    )


def plain(text: object) -> str:
    """A text that Markdown and HTML show as it is.

    >>> plain("a|b <b> *c*")
    'a\\\\|b &lt;b&gt; \\\\*c\\\\*'
    """
    shown = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", shown).replace("\n", " ")


def _both(text: str) -> tuple[str, str]:
    return text, words.translate(text)
