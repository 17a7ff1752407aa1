"""``ppo-workbench doctor``: versions, device, memory, home folder, and what is wrong."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from workbench import __version__, assets
from workbench.crash_log import crash_file
from workbench.store.home import StoreError, find_home
from workbench.store.schema import open_database

_PACKAGES = ("torch", "transformers", "PySide6-Essentials", "pyqtgraph", "sqlite-utils", "qasync")
_LOW_DISK = 2**30
_LOW_MEMORY = 2**30


def doctor(chosen_home: str | None) -> int:
    """Print the report; return 1 when something is wrong."""
    import torch

    from workbench.display import display_available
    from workbench.models.device import find_placement

    problems: list[str] = []
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("ppo-workbench", __version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.platform()}")
    for name in _PACKAGES:
        try:
            table.add_row(name, version(name))
        except PackageNotFoundError:
            table.add_row(name, "missing")
            problems.append(f"{name} is not installed; install ppo-workbench again.")

    placement = find_placement()
    device = str(placement.device)
    if placement.device.type == "cuda":
        facts = torch.cuda.get_device_properties(placement.device)
        device = f"{device} ({facts.name}, {facts.total_memory / 2**30:.1f} GiB)"
    table.add_row("device", f"{device}, {placement.dtype_name}")
    table.add_row("CPU threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    memory = psutil.virtual_memory()
    table.add_row("memory", f"{memory.available / 2**30:.1f} GiB free of "
                            f"{memory.total / 2**30:.1f} GiB")
    if memory.available < _LOW_MEMORY:
        problems.append("Less than 1 GiB of memory is free; close other programs.")
    table.add_row("display", "yes" if display_available() else "none (use ppo-workbench train)")

    home = find_home(chosen_home)
    table.add_row("home folder", str(home))
    try:
        path = open_database(home)
        free = shutil.disk_usage(home).free
        table.add_row("database", f"{path.stat().st_size / 2**20:.1f} MiB, "
                                  f"{free / 2**30:.1f} GiB of disk free")
        if free < _LOW_DISK:
            problems.append(f"Less than 1 GiB of disk is free at {home}; make room.")
    except StoreError as error:
        table.add_row("database", "cannot be used")
        problems.append(str(error))
    _add_crashes(table, home)
    problems += _missing_assets()

    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print()
    for problem in problems:
        console.print(f"[bold red]wrong[/]  {problem}")
    if not problems:
        console.print("[bold green]All is well.[/]")
    return 1 if problems else 0


def _add_crashes(table: Table, home: Path) -> None:
    file = crash_file(home)
    with contextlib.suppress(OSError):
        about = file.stat()
        if about.st_size:
            when = datetime.fromtimestamp(about.st_mtime, UTC).isoformat(" ", "minutes")[:16]
            table.add_row("last crash", f"{when} UTC; {file} says where, for a bug report")


def _missing_assets() -> list[str]:
    wanted: tuple[tuple[str, Path], ...] = (
        ("bundled policy", assets.BUNDLED_POLICY / "model.safetensors"),
        ("bundled reward model", assets.BUNDLED_REWARD / "model.safetensors"),
        ("sample prompts", assets.DEFAULT_PROMPTS))
    return [f"The {what} is missing ({path}); install ppo-workbench again."
            for what, path in wanted if not path.is_file()]
