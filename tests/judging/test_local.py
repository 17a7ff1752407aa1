"""A judge in memory, against plain transformers on one row."""

import pytest
import torch
from helpers.models import CPU
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.assets import BUNDLED_POLICY
from workbench.judging.asking import judge_set
from workbench.judging.local import LocalJudge
from workbench.judging.questions import RUBRIC, Question
from workbench.models.loading import load_policy
from workbench.store.judged import PairToJudge, Side
from workbench.store.store import Store

PAIR = PairToJudge("The tea was", Side(" hot and very good."), Side(" cold, and I left."))


@pytest.fixture(scope="module")
def loaded():
    return load_policy(str(BUNDLED_POLICY), CPU, lambda text, share: None)


@pytest.fixture
def judge(loaded):
    return LocalJudge("bundled", loaded.policy, loaded.policy_tokenizer)


@pytest.mark.parametrize("swapped", [False, True])
def test_its_probabilities_are_those_of_plain_transformers(judge, swapped):
    question = Question(PAIR, RUBRIC, swapped)
    answer = judge.ask(question, lambda: None)
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_POLICY)
    model = AutoModelForCausalLM.from_pretrained(BUNDLED_POLICY)
    text = f"{question.for_model}\n\nThe better answer is Answer"
    ids = tokenizer(text)["input_ids"]
    letters = [tokenizer(f"{text} {letter}")["input_ids"] for letter in "AB"]
    common = letters[0][:-1]
    assert [each[:-1] for each in letters] == [common, common]
    assert common[:len(ids)] == ids
    with torch.no_grad():
        logits = model(torch.tensor([common])).logits[0, -1]
    both = logits[[each[-1] for each in letters]].softmax(dim=0)
    assert answer.probability == pytest.approx(both[0].item(), abs=1e-5)
    assert answer.letter == ("A" if both[0] > 0.5 else "B")


def test_a_pair_that_it_cannot_read_is_no_mark(judge, tmp_path):
    store = Store(tmp_path)
    set_id = store.judgements.make_set("Mine", seed=1).result()
    long = PairToJudge("Tea", Side(" tea" * 300), Side(" milk"))
    store.judgements.add(set_id, [PAIR, long]).result()
    assert judge_set(store, set_id, judge, RUBRIC, step=lambda done, total: None) == 4
    [mark] = store.judgements.marks(set_id)
    assert (mark.by, mark.judge) == ("judge: bundled", True)
    [quality] = store.judge_answers.qualities(set_id, "ann")
    assert (quality.pairs, quality.unusable) == (1, 2)
    store.close()


def test_a_chat_template_asks_in_a_turn_of_its_own(loaded):
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_POLICY)
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}")
    before = loaded.policy_tokenizer.tokenizer
    loaded.policy_tokenizer.tokenizer = tokenizer
    try:
        judge = LocalJudge("chat", loaded.policy, loaded.policy_tokenizer)
    finally:
        loaded.policy_tokenizer.tokenizer = before
    question = Question(PAIR, RUBRIC)
    ids, a, b = judge.tokens(question)
    assert tokenizer.decode(ids) == f"user: {question.for_model}\nassistant: "
    assert [tokenizer.decode([token]) for token in (a, b)] == ["A", "B"]
