"""The phases of a cycle, in the words of the window."""

from enum import StrEnum


class Phase(StrEnum):
    """What a running cycle is doing."""

    PRETRAINING = "Before the first cycle: preparing the values"
    SAMPLING = "Phase 1: writing completions"
    SCORING = "Phase 1: scoring"
    UPDATING = "Phase 2: updating the policy"
    VALUES = "Phase 2: updating the values"
    READING = "Phase 2: reading the tokens again"
    COMPARING = "Comparing before and after"
