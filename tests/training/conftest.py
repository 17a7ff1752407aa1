"""A session with tiny models loaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.client import Client
from helpers.folders import save_policy, save_reward

from workbench.store.store import Store
from workbench.training.commands import LoadModels
from workbench.training.events import State


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    base: Path = tmp_path_factory.mktemp("models")
    return str(save_policy(base / "policy")), str(save_reward(base / "reward"))


@pytest.fixture(autouse=True)
def _measured_once(measured_once: None) -> None:
    """What the tiny models take in memory is measured once, not at the start of each run."""


@pytest.fixture
def client(store: Store) -> Iterator[Client]:
    client = Client(store)
    yield client
    client.close()


@pytest.fixture
def ready(client: Client, folders: tuple[str, str]) -> Client:
    client.send(LoadModels(*folders))
    client.wait_for(State.READY)
    return client
