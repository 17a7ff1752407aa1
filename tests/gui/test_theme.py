"""Both themes can be read, and the window follows a change."""

import numpy as np
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
    assert len(set(theme.series)) == 6
    for colour in theme.series:
        assert contrast(colour, theme.base) >= 3


# Machado, Oliveira and Fernandes 2009, at full strength.
SEEN_BY = {
    "all cones": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}


@BOTH
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_runs_are_told_apart_by_colour(theme: Theme, eyes: str) -> None:
    seen = [oklab(colour, SEEN_BY[eyes]) for colour in theme.series]
    nearest = min(float(np.linalg.norm(a - b)) for i, a in enumerate(seen) for b in seen[:i])
    assert nearest > (0.18 if eyes == "all cones" else 0.11)  # 0.02 is about what is just noticed


def oklab(colour: str, eyes: np.ndarray) -> np.ndarray:
    """How a colour is seen: Ottosson 2020, https://bottosson.github.io/posts/oklab."""
    parts = np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    cones = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                      [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]]) @ np.clip(eyes @ linear, 0, 1)
    return np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                     [1.9779984951, -2.4285922050, 0.4505937099],
                     [0.0259040371, 0.7827717662, -0.8086757660]]) @ np.cbrt(cones)


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
