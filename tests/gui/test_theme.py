"""Both themes can be read, and the window follows a change."""

import pytest
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from workbench.gui.widgets.theme import DARK, ICONS, LIGHT, Theme, style_sheet, themes

BOTH = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda t: t.name)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
             for c in QColor(colour).getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_pair() -> None:
    # black on white: (1 + 0.05) / (0 + 0.05) = 21
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@BOTH
def test_text_can_be_read(theme: Theme) -> None:
    for ground in (theme.window, theme.base, theme.alternate, theme.better, theme.worse,
                   theme.changed):
        assert contrast(theme.text, ground) >= 7
    for colour in (theme.muted, theme.good, theme.bad, theme.warning, theme.accent):
        assert contrast(colour, theme.base) >= 4.5
        assert contrast(colour, theme.window) >= 4.5
    assert contrast(theme.on_accent, theme.accent) >= 4.5


@BOTH
def test_lines_of_plots_can_be_seen(theme: Theme) -> None:
    assert len(set(theme.series)) == 8
    for colour in theme.series:
        assert contrast(colour, theme.base) >= 3


@BOTH
def test_style_sheet_is_complete(theme: Theme) -> None:
    assert "$" not in style_sheet(theme)


@pytest.mark.usefixtures("theme")
def test_mode_is_followed(qtbot: QtBot) -> None:
    with qtbot.waitSignal(themes().changed) as dark:
        themes().set_mode("dark")
    assert dark.args == [DARK]
    assert themes().theme is DARK
    with qtbot.waitSignal(themes().changed):
        themes().set_mode("light")
    assert themes().theme is LIGHT


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_sliders_and_docks_have_visible_handles(theme: Theme) -> None:
    assert contrast(theme.muted, theme.window) > 3  # the groove
    assert contrast(theme.accent, theme.window) > 3  # the handle
    for icon in ("dock-close", "dock-float"):
        file = ICONS / f"{icon}-{theme.name}.svg"
        assert theme.text in file.read_text(encoding="utf-8")
        assert f"{icon}-{theme.name}.svg" in style_sheet(theme)
