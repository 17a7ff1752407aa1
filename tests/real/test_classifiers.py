"""Every sequence classifier of transformers: exact on batches, or refused in a sentence."""

import shutil

import pytest
import torch
from helpers.classifiers import ARCHITECTURES, alone, save_classifier, words

from workbench.feedback.loading import load_reward
from workbench.models.capabilities import Batching
from workbench.models.control import Unattended
from workbench.models.device import Placement
from workbench.models.sources import LoadError
from workbench.records import Exchange

CPU = Placement(torch.device("cpu"), torch.float32)
TEXTS = ("the tea was hot and good.", "a cat", "Hello world",
         "a cat sat on the mat the rain is wet and the tea is hot and a cat", "b a b w1 w2")
COMMON = ("albert", "bart", "bert", "bloom", "camembert", "ctrl", "deberta", "deberta-v2",
          "distilbert", "electra", "falcon", "fnet", "funnel", "gemma", "gemma2", "gemma3_text",
          "gpt2", "gpt_neo", "gpt_neox", "gptj", "llama", "longformer", "mistral", "mixtral",
          "modernbert", "mpnet", "opt", "phi3", "qwen2", "qwen3", "roberta", "smollm3", "t5",
          "xlm-roberta", "xlnet")


def check(name, folder):
    """Return how an architecture's rows are read together; fail where a score is not the row's
    own."""
    try:
        save_classifier(folder, name)
    except Exception as error:
        pytest.skip(f"no small configuration makes it ({type(error).__name__}: {error})")
    try:
        reward = load_reward(str(folder), CPU, lambda *_: None).reward
    except LoadError as error:
        said = str(error)
    else:
        known = words(end="</s>")
        right = alone(folder, [known(text)["input_ids"] for text in TEXTS])
        found = reward.score([Exchange("", text, text) for text in TEXTS], control=Unattended())
        torch.testing.assert_close(found, right, rtol=2e-4, atol=2e-4)
        return reward.classifier.batching
    # Refused is what plain transformers cannot read either.
    with pytest.raises((RuntimeError, ValueError, TypeError, AttributeError, IndexError)) as caught:
        alone(folder, [[4, 5, 6, 3], [5, 3]])
    assert " ".join(str(caught.value).split())[:40] in said
    return "refused"


@pytest.mark.parametrize("name", COMMON)
def test_a_classifier_that_people_use_is_exact(name, tmp_path):
    batching = check(name, tmp_path / name)
    # The one knows no mask, the other reads its score from the last place.
    assert batching is (Batching.EQUAL if name in ("fnet", "xlnet") else Batching.PADDED)


@pytest.mark.parametrize(
    "name", ["bert", "deberta-v2", "gpt2", "modernbert", "qwen2", "roberta", "t5"])
def test_scores_of_half_precision_are_not_rounded_to_it(name, tmp_path):
    save_classifier(tmp_path / name, name)
    exchanges = [Exchange("", text, text) for text in TEXTS]
    half, whole = (
        load_reward(
            str(tmp_path / name), Placement(CPU.device, dtype), lambda *_: None
        ).reward.score(exchanges, control=Unattended())
        for dtype in (torch.bfloat16, torch.float32))
    assert (half != half.bfloat16()).any()
    torch.testing.assert_close(half, whole, rtol=0.1, atol=0.1)


@pytest.mark.sweep
@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - set(COMMON)))
@pytest.mark.filterwarnings("default")
def test_every_classifier_is_exact_or_refused(name, tmp_path):
    check(name, tmp_path / name)
    shutil.rmtree(tmp_path / name, ignore_errors=True)
