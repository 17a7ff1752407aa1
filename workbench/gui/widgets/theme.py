"""The window's colours, light and dark, and the style sheet made from them.

Widgets say what they are by two dynamic properties and the style sheet does the rest:
``role`` is "heading", "muted", "error", "primary" (button) or "flat" (tool button);
``chip`` is "neutral", "accent", "good", "warning" or "bad". Use :func:`set_look` to change one on
a widget that is already on screen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import Literal

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from workbench.assets import RESOURCES

Mode = Literal["system", "light", "dark"]
STYLE_SHEET = Path(__file__).with_name("style.qss")
ICONS = RESOURCES / "icons"
SOFT = 0.16
"""Share of the accent in the background of what is selected."""


@dataclass(frozen=True, slots=True)
class Theme:
    """One set of colours. ``good``, ``bad``, ``warning`` and ``series`` are readable on ``base``;
    those of ``series`` are told apart also by the colour-blind. ``better`` and ``worse`` are
    backgrounds for numbers above and below 0, ``changed`` for words that differ, readable under
    ``text``."""

    name: Literal["light", "dark"]
    window: str
    base: str
    alternate: str
    text: str
    muted: str
    border: str
    accent: str
    on_accent: str
    good: str
    bad: str
    warning: str
    better: str
    worse: str
    changed: str
    series: tuple[str, ...]


LIGHT = Theme(
    name="light", window="#f4f5f7", base="#ffffff", alternate="#f6f7f9", text="#1b2027",
    muted="#58626f", border="#d4d9e0", accent="#1d5fb4", on_accent="#ffffff",
    good="#16734a", bad="#b02f2a", warning="#8a5700", better="#cdeedb", worse="#fbd8d4",
    changed="#dfe7f6",
    series=("#003cb4", "#e13c00", "#1e8778", "#870069", "#963cff", "#0f3c0f"),
)
DARK = Theme(
    name="dark", window="#1b1e23", base="#15181c", alternate="#1a1d22", text="#e4e7eb",
    muted="#9aa4b1", border="#363c45", accent="#6fa8f5", on_accent="#0c1726",
    good="#5cc78d", bad="#f38b82", warning="#e2b052", better="#1d4a34", worse="#5c2b2a",
    changed="#22334d",
    series=("#78b4ff", "#f0873c", "#62f0e0", "#f02f8f", "#f5dc46", "#c050ff"),
)


class ThemeManager(QObject):
    """Knows the theme in force and keeps the application in step with it.

    ``changed`` carries the new :class:`Theme`.
    """

    changed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._mode: Mode = "system"
        self._installed = False
        self._theme = self._wanted()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._update)

    @property
    def theme(self) -> Theme:
        """The theme in force."""
        return self._theme

    @property
    def mode(self) -> Mode:
        """What the person chose: follow the system, or one of the two."""
        return self._mode

    def set_mode(self, mode: Mode) -> None:
        """Follow the system's colour scheme, or stay with one."""
        self._mode = mode
        scheme = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
        # Native title bars and file dialogs follow where the platform can.
        hints = QGuiApplication.styleHints()
        hints.setColorScheme(scheme.get(mode, Qt.ColorScheme.Unknown))
        self._update()

    def install(self) -> None:
        """Give the application its style, palette and style sheet, now and on every change."""
        QApplication.setStyle("Fusion")
        # An icon has the colour of its button, which is no colour for a menu.
        QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontShowIconsInMenus)
        self._installed = True
        self._apply()

    def _wanted(self) -> Theme:
        if self._mode != "system":
            return DARK if self._mode == "dark" else LIGHT
        dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
        return DARK if dark else LIGHT

    def _update(self) -> None:
        wanted = self._wanted()
        if wanted is self._theme:
            return
        self._theme = wanted
        if self._installed:
            self._apply()
        self.changed.emit(wanted)

    def _apply(self) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        # Replacing one sheet by another restyles every widget more than once; taking the old one
        # away first costs less than half of that. Nothing is painted in between.
        app.setStyleSheet("")
        QApplication.setPalette(palette(self._theme))
        app.setStyleSheet(style_sheet(self._theme))


@cache
def themes() -> ThemeManager:
    """Return the application's theme manager. A QApplication must exist."""
    return ThemeManager(QApplication.instance())


def palette(theme: Theme) -> QPalette:
    """Return the Qt palette of a theme."""
    role = QPalette.ColorRole
    colours = {
        role.Window: theme.window, role.WindowText: theme.text, role.Base: theme.base,
        role.AlternateBase: theme.alternate, role.Text: theme.text, role.Button: theme.window,
        role.ButtonText: theme.text, role.BrightText: theme.bad, role.ToolTipBase: theme.base,
        role.ToolTipText: theme.text, role.PlaceholderText: theme.muted, role.Link: theme.accent,
        role.LinkVisited: theme.accent, role.Highlight: theme.accent, role.Accent: theme.accent,
        role.HighlightedText: theme.on_accent, role.Light: theme.base, role.Midlight: theme.border,
        role.Mid: theme.border, role.Dark: theme.muted, role.Shadow: theme.border,
    }
    result = QPalette()
    for name, colour in colours.items():
        result.setColor(name, QColor(colour))
    for name in (role.WindowText, role.Text, role.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, name, QColor(_blend(theme, 0.55)))
    return result


def style_sheet(theme: Theme) -> str:
    """Return the application's style sheet in the colours of ``theme``."""
    colours = {k: v for k, v in asdict(theme).items() if k != "series"}
    return Template(STYLE_SHEET.read_text(encoding="utf-8")).substitute(
        colours, icons=ICONS.as_posix(), disabled=_blend(theme, 0.55),
        hover=_blend(theme, 0.08, theme.base), soft=mix(theme.accent, theme.base, SOFT))


def set_look(widget: QWidget, **properties: str) -> None:
    """Set dynamic properties that the style sheet reads, and restyle the widget."""
    if all(widget.property(name) == value for name, value in properties.items()):
        return
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    # Else a label goes on with the size it had in its look before.
    QApplication.sendEvent(widget, QEvent(QEvent.Type.StyleChange))


def number_font(scale: float = 1.0) -> QFont:
    """Return the font for numbers: the system's fixed-width one, near the size of the text."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPointSizeF(QApplication.font().pointSizeF() * scale)
    return font


def _blend(theme: Theme, share: float, onto: str | None = None) -> str:
    """Return the text colour at ``share`` over the window's colour."""
    return mix(theme.text, onto or theme.window, share)


def mix(top: str, below: str, share: float) -> str:
    """Return ``top`` laid over ``below``, at ``share`` of its strength."""
    a, b = QColor(top), QColor(below)
    parts = ((a.red(), b.red()), (a.green(), b.green()), (a.blue(), b.blue()))
    return QColor(*(round(x * share + y * (1 - share)) for x, y in parts)).name()
