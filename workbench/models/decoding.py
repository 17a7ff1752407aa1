"""How a policy is sampled when it is tried by hand. Imports no torch: forms are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.settings import Spec, Value

_GROUP = "Try"


def _declare(name: str, label: str, text: str, default: Value, least: float, most: float,
             **more: str) -> Spec:
    kind = "int" if isinstance(default, int) else "float"
    return Spec(name, label, _GROUP, kind, default, text, live=True,  # type: ignore[arg-type]
                minimum=least, maximum=most, **more)  # type: ignore[arg-type]


DECODING = {spec.name: spec for spec in (
    _declare("temperature", "Temperature",
             "Logits are divided by it. Lower keeps to what is probable, higher is more creative; "
             "0 always takes the most probable token.", 1.0, 0.0, 5.0, zero_text="greedy"),
    _declare("top_p", "Top-p",
             "Nucleus sampling (Holtzman et al. 2019): only the fewest most probable tokens that "
             "together have this probability can be chosen. 1 leaves every token in.",
             1.0, 0.01, 1.0),
    _declare("seed", "Seed",
             "The same seed, prompt and weights give the same completion. Every column meets the "
             "same random numbers, so what differs between columns was learned.",
             0, 0, 2**31 - 1),
    _declare("length", "Length",
             "The longest completion. Writing stops earlier at the end-of-sequence token.",
             48, 1, 32_768, unit="tokens"),
)}


@dataclass(frozen=True, slots=True)
class Decoding:
    """Temperature, top-p, seed and longest response. See :data:`DECODING`."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    length: int = 48

    def problems(self) -> list[str]:
        """Return a sentence for every value out of its range."""
        return [
            f"{spec.label} must be between {spec.minimum:g} and {spec.maximum:g}."
            for name, spec in DECODING.items()
            if not (spec.minimum or 0) <= getattr(self, name) <= (spec.maximum or 0)]
