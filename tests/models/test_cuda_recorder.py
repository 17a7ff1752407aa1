"""Steps that cannot be recorded, or not rightly, run as they are, and the log says so once."""

import logging

import pytest
import torch
from helpers.tape import TapeRecorder

from workbench.models.cuda_graphs import GraphedStep


class Counter:
    """Step t adds the next number to a sum: like a step of decoding, the same if run twice."""

    def __init__(self, recorder, *, late=lambda x: x):
        self.replay = GraphedStep(recorder, torch.float32)
        self.t, self.late = torch.zeros(1, dtype=torch.long), late
        self.sums = torch.zeros(20)

    def step(self):
        before = self.sums.index_select(0, self.t)
        now = self.late(before + self.t + 1)
        self.sums.index_copy_(0, self.t + 1, now)
        return now

    def run(self, steps):
        for _ in range(steps):
            self.replay(self.step)
            self.t += 1
        return self.sums[: steps + 1].tolist()


RIGHT = [0, 1, 3, 6, 10, 15, 21, 28, 36]


def test_a_step_is_recorded_checked_and_played(caplog):
    recorder = TapeRecorder()
    assert Counter(recorder).run(8) == RIGHT
    assert (recorder.rehearsals, len(recorder.tapes), recorder.plays) == (1, 1, 7)
    assert not caplog.records


def test_it_is_recorded_anew_when_it_was_forgotten():
    recorder = TapeRecorder()
    counter = Counter(recorder)
    counter.run(4)
    counter.replay.forget()
    assert counter.run(4)
    assert counter.sums[:9].tolist() == RIGHT
    assert len(recorder.tapes) == 2


class Failing(TapeRecorder):
    def record(self, step):
        raise RuntimeError("operation not permitted when stream is capturing\nsecond line")


@pytest.mark.parametrize(("recorder", "late", "why"), [
    # The host looks at a value.
    (TapeRecorder(), lambda x: x * float(x) / float(x), "_local_scalar_dense"),
    (Failing(), lambda x: x, "not permitted when stream is capturing"),
])
def test_a_step_that_cannot_be_recorded_runs_as_it_is(recorder, late, why, caplog):
    counter = Counter(recorder, late=late)
    with caplog.at_level(logging.INFO):
        assert counter.run(8) == RIGHT
    assert counter.replay.failed
    assert len(caplog.records) == 1
    assert why in caplog.text
    assert "second line" not in caplog.text
    assert recorder.rehearsals == 1  # it is not tried again


def test_a_recording_that_keeps_a_number_is_found_out(caplog):
    """The number of the step, taken from Python: right at first, wrong from the next step on."""
    recorder = TapeRecorder()
    counter = Counter(recorder)
    calls = iter(range(100))
    # Rehearsal and recording are step 0; the check calls step 1, and so on.
    numbers = [0, 0, 1, 2, 3, 4, 5, 6, 7]
    counter.late = lambda x: x - counter.t + numbers[next(calls)]
    assert counter.run(8) == RIGHT
    assert counter.replay.failed
    assert "other numbers" in caplog.text
    assert recorder.plays == 1


def test_out_of_memory_is_no_reason_to_give_up_recording():
    class Full(TapeRecorder):
        def rehearse(self, step):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    counter = Counter(Full())
    with pytest.raises(torch.OutOfMemoryError):
        counter.run(1)
    assert not counter.replay.failed


def test_numbers_that_are_not_finite_are_the_same_numbers():
    recorder = TapeRecorder()
    counter = Counter(recorder, late=lambda x: x / 0)
    counter.run(8)
    assert not counter.replay.failed
    assert recorder.plays == 7
