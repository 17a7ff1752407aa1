"""Makes the bundled models: `python resources/make/make_models.py --policy --reward --value`.

`--value` goes on with the policy, so that its states tell what score is to come (train_value.py);
alone, it goes on with the policy that is there. The reward model's scale comes from the policy's
completions, so making one of them anew also sets the scale and writes both cards anew. `--quick`
takes a fifth of the steps.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the bundled policy and reward model.")
    parser.add_argument("--policy", action="store_true", help="train the policy")
    parser.add_argument("--reward", action="store_true", help="train the reward model")
    parser.add_argument("--value", action="store_true",
                        help="train the policy further, to foresee its score")
    parser.add_argument("--quick", action="store_true", help="a fifth of the training steps")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, help="where to, if not into resources/models")
    choice = parser.parse_args()
    names = [name for name in ("policy", "reward", "value") if getattr(choice, name)]
    if not names:
        parser.error("say --policy, --reward, --value or several of them")
    command = "python resources/make/make_models.py" + "".join(f" --{name}" for name in names)
    command += " --quick" * choice.quick + f" --seed {choice.seed}"
    # Waiting threads must sleep: when they spin, a busy machine trains many times slower.
    # torch reads this as it is imported, so it comes first.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from making import make

    make(choice.out or Path(__file__).resolve().parents[1] / "models", names, choice.seed,
         choice.quick, command)


if __name__ == "__main__":
    main()
