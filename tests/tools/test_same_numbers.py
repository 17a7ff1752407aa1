"""The comparison of two homes finds what differs."""

import pytest
from helpers.window import fill
from tools.same_numbers import compare

from workbench.store.store import Store


@pytest.fixture
def homes(tmp_path):
    """Two homes, each with the same run of three cycles."""
    for name in "old", "new":
        store = Store(tmp_path / name)
        fill(store)
        store.close()
    return tmp_path / "old", tmp_path / "new"


def _change(home, statement):
    store = Store(home)
    store._writer.submit(lambda db: db.execute(statement)).result()
    store.close()


def test_equal_runs_are_equal_and_times_do_not_count(homes):
    _change(homes[1], "insert into metrics values (1, 1, 'seconds/update', 7.5)")
    assert compare(*homes) == []


@pytest.mark.parametrize(("statement", "what"), [
    ("update metrics set value = value + 1e-12 where cycle = 2 and name = 'objective/kl'",
     "objective/kl"),
    ("update completions set text = text || '.' where position = 1 and cycle = 3", "completions"),
    ("delete from metrics where name = 'objective/kl'", "objective/kl")])
def test_what_differs_is_named(homes, statement, what):
    _change(homes[1], statement)
    found = compare(*homes)
    assert found
    assert all(what in line for line in found)
