"""Every causal language model of the installed transformers: exact, or refused in a sentence.

Held against plain transformers on each row alone, without padding and without a cache. The whole
takes minutes: `pytest -m sweep`.
"""

import pytest
import transformers as tf
from helpers.architectures import NAMES, NotMadeError, make_model
from helpers.models import CPU
from helpers.rows_alone import differences

from workbench.models.model_check import find_capabilities
from workbench.models.policy import Policy, UnsupportedModelError

pytestmark = pytest.mark.slow
PROMPTS = [[5, 6, 7], [4], list(range(4, 24)), [8, 9, 10]]
# One of a kind, and what has gone wrong before.
SOME = ("bart", "bert", "bloom", "deepseek_v3", "falcon_mamba", "gemma3n_text", "gpt_neo", "jamba",
        "llama4_text", "moshi", "opt", "openai-gpt", "qwen3_5_text", "qwen3_next",
        "recurrent_gemma", "rwkv", "xlnet", "zamba2")
REFUSED = {
    "cpmant": "reads in both directions",
    "prophetnet": "computes its logits in a way",
    "xlnet": "reads in both directions",
}
"""What is no causal language model, whatever its name says, and part of the sentence."""


def outcome(name):
    """Return what became of an architecture: an empty text where it is exact."""
    try:
        policy = Policy(make_model(name), CPU)
        policy.capabilities = find_capabilities(policy)
    except NotMadeError as error:
        pytest.skip(f"no tiny model was made: {error}")
    except UnsupportedModelError as error:
        return str(error)
    written, read = differences(policy, PROMPTS)
    assert written <= 2e-4, f"written {written:.1e} with {policy.capabilities}"
    assert read <= 2e-4, f"read {read:.1e} with {policy.capabilities}"
    return ""


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SOME else pytest.mark.sweep)
             for name in NAMES])
def test_an_architecture_is_exact_or_refused(name):
    said = outcome(name)
    if name in REFUSED:
        assert REFUSED[name] in said
        assert said.endswith("choose another model.")
        assert "\n" not in said
    else:
        assert not said


@pytest.mark.sweep
def test_the_exceptions_are_still_there():
    assert set(REFUSED) | set(SOME) <= set(NAMES)
    assert len(NAMES) >= 196, tf.__version__
