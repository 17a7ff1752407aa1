"""What somebody else wrote is read after a chat template as the template itself would write it."""

import pytest
from helpers.folders import save_policy

from workbench.dpo.pairs import read_table as read_pairs
from workbench.ilql.scored import read_table
from workbench.models.device import find_placement
from workbench.models.loading import load_policy
from workbench.records import Pair, ScoredText, TextPrompt

CHAT = ("{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}")
TURNS = (("system", "be kind"), ("user", "tea"), ("assistant", "good tea"), ("user", "and rain"))


@pytest.fixture(scope="module")
def policy_tokenizer(tmp_path_factory):
    folder = save_policy(tmp_path_factory.mktemp("chat") / "policy", chat_template=CHAT)
    return load_policy(str(folder), find_placement("float32"), lambda text, share: None,
                       use_chat_template=True).policy_tokenizer


def whole(policy_tokenizer, turns, answer):
    """The tokens of the conversation as the template writes it."""
    return policy_tokenizer.tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in (*turns, ("assistant", answer))],
        return_dict=False)


@pytest.mark.parametrize("turns", [(("user", "tea"),), TURNS], ids=["one turn", "several"])
def test_pairs(policy_tokenizer, turns):
    prompt = turns[0][1] if len(turns) == 1 else turns
    chosen, rejected = (((("assistant", text),) if len(turns) > 1 else text)
                        for text in ("good cat", "bad cat"))
    table = read_pairs([Pair(prompt, chosen, rejected)], policy_tokenizer,
                       control_tokens=False, held_out_share=0.0, seed=0)
    for side, answer in ((table.chosen, "good cat"), (table.rejected, "bad cat")):
        assert table.prompts[0] + side[0] == whole(policy_tokenizer, turns, answer)


@pytest.mark.parametrize("turns", [(("user", "tea"),), TURNS], ids=["one turn", "several"])
def test_scored_completions(policy_tokenizer, turns):
    prompt = (TextPrompt(turns[0][1]) if len(turns) == 1
              else TextPrompt("tea and rain", messages=turns))
    texts = [ScoredText(prompt, " good cat", 1.0), ScoredText(prompt, "bad", 0.0, False)]
    table = read_table(texts, policy_tokenizer, control_tokens=False)
    assert table.prompts[0] + table.responses[0] == whole(policy_tokenizer, turns, "good cat")
    # One that was cut off does not end.
    assert table.prompts[1] + table.responses[1] == whole(policy_tokenizer, turns, "bad")[:-1]
