"""A step of decoding recorded once and played again, without Python: CUDA graphs.

A step of a small model is over before Python has launched its kernels, so decoding on a GPU waits
for the host; a graph launches them all at once. What a recording holds is fixed: addresses, shapes
and every number that Python passed. A step that is recorded therefore reads what changes from
tensors, and gives the same when it is run twice in the same place.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Step = Callable[[], Tensor]
"""Runs the step where it stands and returns its hidden states, which are what is compared."""

# Largest difference between a step and its recording, as a share of the largest number. The
# kernels are the same; a matrix product may be summed in another order.
_TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}


class CudaRecorder:
    """Records steps as CUDA graphs.

    Each graph has a memory pool of its own: there is never more than one at a time, and the room
    of the last is given back before the next is recorded.
    """

    def rehearse(self, step: Step) -> None:
        """Run the step on the stream where it will be recorded.

        Libraries take their workspace there, kernels are loaded, and a step that makes the host
        wait for the device shows itself: found only while recording, it would leave PyTorch's
        memory allocator waiting for the end of the recording.

        Raises:
            RuntimeError: it does what cannot be recorded.
        """
        stream, current = _stream(torch.cuda.current_device()), torch.cuda.current_stream()
        stream.wait_stream(current)
        try:
            with torch.cuda.stream(stream), _host_must_not_wait():
                step()
        finally:
            current.wait_stream(stream)

    def record(self, step: Step) -> Step:
        """Return the step as a graph that replays on the current stream."""
        graph, stream = torch.cuda.CUDAGraph(), _stream(torch.cuda.current_device())
        # The outer context brings the current stream back where the inner one fails to. Other
        # threads may free memory meanwhile: the window's collects garbage.
        with torch.cuda.stream(stream), torch.cuda.graph(
                graph, stream=stream, capture_error_mode="thread_local"):
            states = step()

        def replay() -> Tensor:
            graph.replay()
            return states

        return replay


class GraphedStep:
    """Runs a step again and again: first as it is, then from its recording.

    The recording of one step is made after it has run, and checked against the next, run both
    ways; where it gives other numbers or cannot be made, steps run as they are from then on, and
    the log says so. So a recording costs about three steps.
    """

    def __init__(self, recorder: CudaRecorder, dtype: torch.dtype) -> None:
        """Begin without a recording.

        Args:
            dtype: the precision of the matrix products.
        """
        self._recorder, self._tolerance = recorder, _TOLERANCES.get(dtype, 1e-2)
        self._recording: Step | None = None
        self._checked = False
        self.failed = False
        """Whether steps of this model cannot be recorded."""

    def __call__(self, step: Step) -> None:
        """Run the step where it stands."""
        # The step is no attribute: it knows its decoder, which holds this, and the memory of both
        # would wait for the garbage collector.
        if self.failed:
            step()
        elif self._recording is None:
            self._record(step)
        elif not self._checked:
            self._check(step, self._recording)
        else:
            self._recording()

    def forget(self) -> None:
        """Let the recording go; the next step is recorded anew. The device must be done with it."""
        self._recording, self._checked = None, False

    def _record(self, step: Step) -> None:
        try:
            self._recorder.rehearse(step)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._give_up(str(error))
            step()
            return
        try:
            self._recording = self._recorder.record(step)
        except RuntimeError as error:
            self._give_up(str(error))

    def _check(self, step: Step, recording: Step) -> None:
        played = recording().clone()
        # The step itself comes second: whatever the recording wrote is written over.
        states = step()
        within = self._tolerance * states.abs().max().item()
        if torch.allclose(played, states, rtol=0, atol=within, equal_nan=True):
            self._checked = True
        else:
            self._give_up("The recording gives other numbers than the step.")

    def _give_up(self, why: str) -> None:
        self.failed = True
        self.forget()
        log.warning(
            "Sampling goes on without CUDA graphs, which is slower: a step of this model cannot "
            "be recorded. %s", why.splitlines()[0] if why else "")


@functools.cache
def _stream(device: int) -> torch.cuda.Stream:
    """One for all recordings: libraries keep a workspace for every stream they have seen."""
    return torch.cuda.Stream(device)


@contextlib.contextmanager
def _host_must_not_wait() -> Iterator[None]:
    """Turn waiting for the device, as for a tensor's value, into a RuntimeError."""
    warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
