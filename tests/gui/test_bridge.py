"""Events cross to the main thread in order, coalesced."""

import threading

from pytestqt.qtbot import QtBot

from workbench.gui.bridge import Bridge, collapse
from workbench.training.events import Event, Phase, Progress, State, StateChanged


def progress(done: int) -> Progress:
    return Progress(1, 1, 2, Phase.SAMPLING, done, 10)


def test_only_the_last_of_consecutive_progress_stays() -> None:
    state = StateChanged(State.RUNNING)
    assert collapse([progress(1), progress(2), state, progress(3)]) == [
        progress(2), state, progress(3)]


def test_events_arrive_on_the_main_thread_in_order(qtbot: QtBot) -> None:
    bridge = Bridge()
    got: list[Event] = []
    threads = set()

    def receive(events: list[Event]) -> None:
        got.extend(events)
        threads.add(threading.current_thread())

    bridge.events.connect(receive)
    sent = [StateChanged(State.RUNNING, str(i)) for i in range(1000)]
    thread = threading.Thread(target=lambda: [bridge.put(event) for event in sent])
    thread.start()
    qtbot.waitUntil(lambda: len(got) == 1000)
    thread.join()
    assert got == sent
    assert threads == {threading.main_thread()}
    bridge.close()


def test_close_hands_over_what_waits(qtbot: QtBot) -> None:
    bridge = Bridge()
    got: list[list[Event]] = []
    bridge.events.connect(got.append)
    bridge.put(progress(1))
    bridge.close()
    assert got == [[progress(1)]]
