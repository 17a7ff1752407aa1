"""What every test stands on: no display, no network, a home of its own, nothing left running."""

from __future__ import annotations

import gc
import os
import shutil
import threading
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from helpers.patience import SECONDS

from workbench.store.home import ENVIRONMENT_VARIABLE
from workbench.store.store import Store

# Hypothesis would fail an example that takes longer than 200 ms.
hypothesis.settings.register_profile("workbench", deadline=None)
hypothesis.settings.load_profile("workbench")
_PATIENCE = round(1000 * SECONDS)

os.environ["HF_HUB_OFFLINE"] = "1"
# The models are tiny: a second thread costs more than it gives.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Before Qt is first imported: only `pytest -m xvfb` puts windows on a display."""
    # A training thread must not collect what a window left (workbench.gui.garbage).
    gc.disable()
    if config.option.markexpr != "xvfb":
        os.environ["QT_QPA_PLATFORM"] = "offscreen"


@pytest.fixture(autouse=True)
def _collect_garbage() -> Iterator[None]:
    """Collect on the main thread, after each test."""
    yield
    gc.collect(1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, also for what finds its home by itself."""
    folder = tmp_path / "home"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(folder))
    return folder


@pytest.fixture
def policy() -> Any:
    """A tiny policy with random weights."""
    from helpers.models import make_policy

    return make_policy()


@pytest.fixture
def unattended() -> Any:
    """A control that nobody watches."""
    from workbench.models.control import Unattended

    return Unattended()


@pytest.fixture
def measured_once() -> Iterator[None]:
    """What models take in memory is measured once, not at the start of each run."""
    from helpers import measured

    with measured.measured_once():
        yield


@pytest.fixture
def qtbot(qapp: object, request: pytest.FixtureRequest) -> Any:
    """pytest-qt's, which waits as long as a busy machine may take."""
    from pytestqt.qtbot import QtBot

    class PatientBot(QtBot):
        waitUntil = partialmethod(QtBot.waitUntil, timeout=_PATIENCE)  # noqa: N815
        waitSignal = partialmethod(QtBot.waitSignal, timeout=_PATIENCE)  # noqa: N815
        waitSignals = partialmethod(QtBot.waitSignals, timeout=_PATIENCE)  # noqa: N815
        waitExposed = partialmethod(QtBot.waitExposed, timeout=_PATIENCE)  # noqa: N815
        waitActive = partialmethod(QtBot.waitActive, timeout=_PATIENCE)  # noqa: N815
    return PatientBot(request)


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as a new store leaves it: its tables are made once, not for each test."""
    folder = tmp_path_factory.mktemp("new_home")
    Store(folder).close()
    return folder


@pytest.fixture
def store(home: Path, new_home: Path) -> Iterator[Store]:
    """An empty store."""
    shutil.copytree(new_home, home, dirs_exist_ok=True)
    opened = Store(home)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _no_dangling_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread of ours or any thread that would keep Python from ending."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.is_alive()
            and (not t.daemon or t.name in ("store-writer", "training", "publisher", "follower"))]
    for thread in left:
        thread.join(timeout=60)
    names = [t.name for t in left if t.is_alive()]
    assert not names, f"{request.node.nodeid} left threads running: {', '.join(names)}"
