"""Many prompts, and very long ones, are encoded in few calls and once."""

import pytest
from helpers.folders import save_policy
from helpers.models import CPU

from workbench.models.loading import load_policy
from workbench.models.policy_tokenizer import PolicyTokenizer, PromptError
from workbench.records import TextPrompt

CHAT = ("{% for m in messages %}{% if 'number 1900 ' in m.content %}{{ raise_exception('no') }}"
        "{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>")
MANY = [f"tea number {i} is hot" for i in range(2_500)]


class Counted:
    """A tokenizer that counts how often it is asked."""

    def __init__(self, tokenizer):
        self.tokenizer, self.calls = tokenizer, 0

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)

    def __call__(self, *arguments, **more):
        self.calls += 1
        return self.tokenizer(*arguments, **more)

    def apply_chat_template(self, *arguments, **more):
        self.calls += 1
        return self.tokenizer.apply_chat_template(*arguments, **more)


@pytest.fixture
def policy_tokenizer(tmp_path, request):
    folder = save_policy(tmp_path / "policy", chat_template=CHAT)
    plain = load_policy(str(folder), CPU, lambda *_: None).policy_tokenizer
    made = PolicyTokenizer(
        Counted(plain.tokenizer),
        plain.eos_ids,
        context_length=plain.context_length,
        use_chat_template=request.param,
        rows=plain.rows,
    )
    made.tokenizer.calls = 0
    return made


@pytest.mark.parametrize("policy_tokenizer", [False, True], indirect=True, ids=["text", "chat"])
def test_many_prompts_take_few_calls(policy_tokenizer):
    prompts = [text for text in MANY if "1900" not in text]
    encoded = policy_tokenizer.encode([*prompts, *prompts], 8)
    assert policy_tokenizer.tokenizer.calls == 3
    assert encoded == [*policy_tokenizer.encode(prompts, 8), *policy_tokenizer.encode(prompts, 16)]
    assert policy_tokenizer.tokenizer.calls == 3
    changed = [TextPrompt(prompts[0]), "another", *prompts[1:]]
    assert policy_tokenizer.encode(changed, 8)[2:] == encoded[1 : len(prompts)]
    assert policy_tokenizer.tokenizer.calls == 4
    for number in (0, 1000, 2_000):
        wrapped = f"<user>{prompts[number]}<assistant>" if policy_tokenizer.use_chat_template else (
            prompts[number])
        assert policy_tokenizer.tokenizer.decode(encoded[number]) == wrapped


@pytest.mark.parametrize("policy_tokenizer", [True], indirect=True)
def test_of_many_prompts_the_one_at_fault_is_named(policy_tokenizer):
    with pytest.raises(PromptError, match=r"^The policy.s chat template fails on prompt 1,901 "
                                          r"\(“tea number 1900 is hot”\): no"):
        policy_tokenizer.encode(MANY, 8)


@pytest.mark.parametrize("policy_tokenizer", [False], indirect=True)
def test_a_megabyte_is_refused_in_one_short_sentence(policy_tokenizer):
    with pytest.raises(PromptError) as caught:
        policy_tokenizer.encode(["tea", "tea " * 250_000, "e\u0301" * 10_000], 8)
    assert str(caught.value) == (
        "Prompt 2 (“tea tea tea tea tea tea tea tea tea tea …”) is too long, as is 1 other: its "
        "1,000,000 tokens and 8 of response pass the policy's limit of 128; shorten or switch off "
        "long prompts, or lower the response length.")
