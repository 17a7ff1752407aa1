"""Whether there is a display to open a window on. No Qt."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def display_available() -> bool:
    """Whether Qt has somewhere to draw; asked first, because Qt aborts the process otherwise."""
    platform = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform in ("offscreen", "minimal", "vnc"):
        return True
    if not sys.platform.startswith("linux"):
        return True
    if platform != "xcb" and _socket_exists(os.environ.get("WAYLAND_DISPLAY", "")):
        return True
    return _x_answers(os.environ.get("DISPLAY", ""))


def _socket_exists(name: str) -> bool:
    folder = os.environ.get("XDG_RUNTIME_DIR", "")
    return bool(name) and (Path(folder) / name).exists()


def _x_answers(display: str) -> bool:
    """Whether an X server accepts connections on ``display``, local or forwarded."""
    import socket

    host, colon, number = display.rpartition(":")
    number = number.partition(".")[0]
    if not colon or not number.isdigit():
        return False
    try:
        if host in ("", "unix"):
            if Path(f"/tmp/.X11-unix/X{number}").exists():
                return True
            with socket.socket(socket.AF_UNIX) as local:
                local.connect(f"\0/tmp/.X11-unix/X{number}")
            return True
        with socket.create_connection((host, 6000 + int(number)), timeout=2):
            return True
    except OSError:
        return False
