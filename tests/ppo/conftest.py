"""Fixtures of the engine's tests."""

import pytest
from helpers.models import make_policy

from workbench.ppo.control import Unattended
from workbench.ppo.policy import Policy


@pytest.fixture
def policy() -> Policy:
    return make_policy()


@pytest.fixture
def unattended() -> Unattended:
    return Unattended()
