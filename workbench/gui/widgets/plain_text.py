"""Text from outside is shown as it stands: a completion, a prompt, a run's name or an error may
hold "<b>", "&amp;" or "<0.1 %", and Qt takes any text for HTML that looks like it.

Labels are made by :func:`workbench.gui.widgets.controls.label`, tooltips by :func:`plain_tip`,
those of actions by :func:`workbench.gui.actions.set_tip`.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache

from PySide6.QtGui import QFontMetrics, Qt
from PySide6.QtWidgets import QToolTip

TIP_WIDTH = 360
"""Pixels that a tooltip's line takes at most."""
_CHARACTERS, _LINES = 2000, 30
_UNBROKEN = re.compile(r"\S{40}(?=\S)")


def shortened(text: str, characters: int = _CHARACTERS, lines: int = _LINES) -> str:
    """Return so much of ``text`` as can be read at a glance, with "…" for the rest."""
    start = "\n".join(text[:characters + 1].split("\n", lines)[:lines])[:characters]
    return text if len(start) == len(text) else start.rstrip() + "…"


def plain_tip(text: str, shortcut: str = "") -> str:
    """Return a tooltip that says ``text`` as it stands, wrapped and not too long, with
    ``shortcut`` on a line of its own."""
    whole = f"{shortened(text)}\n{shortcut}" if shortcut else shortened(text)
    return _wrapped(whole, QToolTip.font().toString())


@lru_cache(maxsize=4096)  # a window has a thousand, of which most are said again and again
def _wrapped(whole: str, font: str) -> str:
    metrics = QFontMetrics(QToolTip.font())
    wide = max(map(metrics.horizontalAdvance, whole.split("\n")), default=0) > TIP_WIDTH
    if not wide and not Qt.mightBeRichText(whole):
        return whole
    # Only spaces are broken at: let paths, addresses and digests be as well.
    said = html.escape(_UNBROKEN.sub("\\g<0>\u200b", whole), quote=False)
    said = f"<div style='white-space: pre-wrap'>{said}</div>"
    return f"<table width='{TIP_WIDTH}'><tr><td>{said}</td></tr></table>" if wide else said


def without_markup(text: str) -> str:
    """Return ``text`` so that a desktop's notification, which may know some HTML, shows it as it
    stands."""
    return re.sub("[<&]", "\\g<0>\u200b", text)


def without_mnemonic(text: str) -> str:
    """Return ``text`` so that a menu or a button shows its "&"."""
    return text.replace("&", "&&")
