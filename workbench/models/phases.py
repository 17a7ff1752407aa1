"""The phases of a cycle, in the words of the window."""

from enum import StrEnum


class Phase(StrEnum):
    """What a running cycle is doing."""

    PRETRAINING = "Before the first cycle: preparing the values"
    REFERENCE = "Before the first cycle: the start policy reads the pairs"
    SAMPLING = "Phase 1: writing completions"
    SCORING = "Phase 1: scoring"
    UPDATING = "Phase 2: updating the policy"
    VALUES = "Phase 2: updating the values"
    READING = "Phase 2: reading the tokens again"
    EVALUATING = "Reading the held-out pairs"
    COMPARING = "Comparing before and after"
