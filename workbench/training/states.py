"""In which states a command makes sense, and what to say otherwise."""

from __future__ import annotations

from workbench.training import commands as do
from workbench.training.events import State

CLOSED = "The workbench was closed."
"""The note of a run that was stopped by that."""
NO_RUN = (State.READY, State.FINISHED, State.FAILED)
"""Models are loaded, and no run is on."""
ALIVE = frozenset({State.RUNNING, State.PAUSED, State.STOPPING})
"""A run exists that could go on."""
WHEN: dict[type, tuple[tuple[State, ...], str]] = {
    do.LoadModels: ((State.IDLE, *NO_RUN), "Models can be loaded when no run is on."),
    do.CancelLoading: (tuple(State), ""),  # it may come when loading has just ended
    do.EstimateMemory: (
        (*NO_RUN, State.RUNNING, State.PAUSED, State.STOPPING), "Load models first."),
    do.Start: (NO_RUN, "A run can start when models are loaded and no run is on."),
    do.ResumeRun: ((State.IDLE, *NO_RUN), "A run can be resumed when no other is on."),
    do.GoBack: ((State.IDLE, *NO_RUN, State.PAUSED), "Pause or stop the run to go back."),
    do.Fork: ((State.IDLE, *NO_RUN, State.PAUSED), "Pause or stop the run to fork."),
    do.ExportRun: ((State.IDLE, *NO_RUN), "A policy can be exported when no run is on."),
    do.Checkpoint: ((State.PAUSED,), "Pause the run to write a checkpoint."),
    do.Pause: ((State.RUNNING,), "Only a running run can be paused."),
    do.Resume: ((State.PAUSED,), "Only a paused run can go on."),
    do.StepCycle: ((State.PAUSED,), "Only a paused run can be stepped."),
    do.StepInto: ((State.RUNNING, State.PAUSED), "No run is on; start one first."),
    do.Stop: ((State.RUNNING, State.PAUSED, State.STOPPING), "No run is on."),
    do.SetHyperparameters: (
        (State.RUNNING, State.PAUSED), "No run is on; the values are used at its start."),
    do.Try: ((*NO_RUN, State.PAUSED),
             "Pause first: a policy is tried between cycles, with the models loaded."),
    do.WriteOn: ((*NO_RUN, State.PAUSED),
                 "Pause first: paths are written between the parts of a run, with the models "
                 "loaded."),
    do.ReadDistribution: ((*NO_RUN, State.PAUSED),
                          "Pause first: a policy is read between the parts of a run, with the "
                          "models loaded."),
    do.ReadValues: ((*NO_RUN, State.PAUSED),
                    "Pause first: a checkpoint is read between the parts of a run, with the models "
                    "loaded."),
    do.ScorePairs: ((*NO_RUN, State.PAUSED),
                    "Pause first: pairs are scored between the parts of a run, with the models "
                    "loaded."),
    do.SampleBestOf: ((State.IDLE, *NO_RUN, State.PAUSED),
                      "Pause first: the best of n are sampled between the parts of a run."),
    do.JudgePairs: ((State.IDLE, *NO_RUN, State.PAUSED),
                    "Pause first: pairs are judged between the parts of a run."),
    do.StopTrying: (tuple(State), ""),  # it may come when the try is over
}

BETWEEN_CYCLES = (do.GoBack, do.Fork, do.Checkpoint)
"""What makes no sense while a run is paused within a cycle."""
NOT_WITHIN = "The run is within cycle {}: let it end that with Step, or stop it, first."


def allowed(*commands: type) -> frozenset[State]:
    """Return the states in which one of these commands makes sense."""
    return frozenset(state for command in commands for state in WHEN[command][0])
