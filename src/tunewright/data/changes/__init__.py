"""Texts changed as life changes them: one file = one change, made by rule and by seed, in pure Python.

A file here holds a docstring (first line = help), ``LANGUAGES`` (those that it fits, or None for all), ``MEANING``
(what becomes of it: ``same``; ``detail``, another name or number; ``turned``; ``stronger``) and
``change(text, draws, share) -> str``, which gives the text back as it is where it finds nothing to change. ``draws`` is
the only source of chance; ``share`` says how much of what can be changed is, at least one place, where it applies.
``READS`` says what raw values it changes, as modalities do; without it ``text``.
"""

from tunewright.data.changes._some import changed, fits, fitting

__all__ = ["changed", "fits", "fitting"]
