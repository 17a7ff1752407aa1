"""A chat template is tried before it is relied on, and asked once for a run."""

import pytest
from helpers.client import Client
from helpers.folders import save_llama, save_reward, tokenizer
from helpers.models import CPU

from workbench.feedback.loading import load_reward
from workbench.models.loading import load_policy
from workbench.models.sources import LoadError
from workbench.ppo.hyperparameters import parse
from workbench.store.records import Message, Prompt
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

USUAL = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
BROKEN = {
    "raises": ("{{ raise_exception('only even turns.') }}", r"cannot be used \(only even turns\)"),
    "syntax": ("{% for m in messages %}{{ m.content }", r"cannot be used \(unexpected"),
    "undefined": ("{{ messages[5].content }}", r"cannot be used \(list object has no"),
    "empty": ("{{ '' }}", "leaves out the text of the prompt"),
    "wants parts": ("{% for m in messages %}{% for c in m['content'] %}{{ c['text'] }}"
                    "{% endfor %}{% endfor %}", "leaves out the text of the prompt"),
    "says something else": ("Hello!", "leaves out the text of the prompt"),
    "gigantic": ("{% for i in range(90000) %}{{ 'a' * 1000 }}{% endfor %}",
                 "writes more than 1,000,000 characters around a short prompt"),
    "greedy": ("{{ 'a' * (6 * 10 ** 9) }}", "more memory than any text needs"),
    "recursive": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "cannot be used"),
    "long": ("a" * 1_000_001, r"is too long to be one \(1,000,001 characters\)"),
}


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    save_reward(base / "reward")
    return save_llama(base / "policy", tokenizer(chat_template=USUAL)).parent


def with_template(folder, template):
    (folder / "chat_template.jinja").write_text(template)
    return str(folder)


@pytest.mark.parametrize("name", BROKEN)
def test_a_template_that_cannot_be_used_is_refused_by_name(folder, name):
    template, says = BROKEN[name]
    policy = with_template(folder / "policy", template)
    with pytest.raises(LoadError, match=f"The chat template of the policy .*{says}.*; load it "
                       "again with the chat template switched off"):
        load_policy(policy, CPU, quiet, use_chat_template=True)
    assert load_policy(policy, CPU, quiet).policy_tokenizer.encode(["tea"], 4)


@pytest.mark.parametrize(("template", "says"), [
    BROKEN["raises"],
    ("{{ messages[0].content }}", "leaves out the text of the answer"),
    ("{% for m in messages %}{{ loop.cycle('user', 'assistant') == m.role or raise_exception('x') "
     "}}{% endfor %}", "leaves out the text of the prompt")], ids=["raises", "answer", "all"])
def test_a_reward_models_template_too(folder, template, says):
    with pytest.raises(LoadError, match=f"The chat template of the reward model .*{says}.*; mend "
                       "or delete the template in its folder"):
        load_reward(with_template(folder / "reward", template), CPU, quiet)


def test_an_endless_template_is_given_up(folder):
    loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(LoadError, match="does not end"):
        load_policy(with_template(folder / "policy", loops + USUAL), CPU, quiet,
                    use_chat_template=True)


def test_templates_that_people_use_are_not_refused(folder):
    usual = (
        "{%- if not date_string is defined %}{%- set date_string = strftime_now('%d %b') %}"
        "{%- endif %}{% set ns = namespace(n=0) %}{% for m in messages %}{% generation %}"
        "{% set ns.n = ns.n + 1 %}{{ bos_token }}{{ m | tojson }}{{ m['content'] | trim }}"
        "{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% endfor %}{{ eos_token }}"
        "{% if tools is not none and tools %}{{ raise_exception('no tools') }}{% endif %}")
    policy = with_template(folder / "policy", usual)
    assert load_policy(policy, CPU, quiet, use_chat_template=True).policy_tokenizer.encode(
        ["tea"], 4
    )


def test_a_template_that_fails_on_one_prompt_names_it(folder):
    from workbench.models.policy_tokenizer import PromptError
    picky = "{% if 'tea' in messages[0].content %}{{ raise_exception('no tea') }}{% endif %}"
    policy = with_template(folder / "policy", picky.replace("'tea'", "'tea!'") + USUAL)
    policy_tokenizer = load_policy(policy, CPU, quiet, use_chat_template=True).policy_tokenizer
    with pytest.raises(PromptError, match=r"fails on prompt 2 \(“hot tea!”\): no tea; change or"):
        policy_tokenizer.encode(["coffee", "hot tea!"], 4)


def test_a_template_that_prints_the_time_breaks_no_resume(folder, store):
    """The prompts are kept as the policy read them."""
    policy = with_template(folder / "policy", USUAL + "one")

    def run(command):
        client = Client(store)
        if isinstance(command, do.Start):
            client.send(do.LoadModels(policy, str(folder / "reward"), use_chat_template=True))
            client.wait_for(State.READY)
        client.send(command)
        assert client.wait(ev.RunFinished).outcome == "finished"
        client.close()

    (folder / "reward" / "chat_template.jinja").unlink(missing_ok=True)
    run(do.Start(parse({
        "num_cycles": 2, "batch_size": 2, "response_length": 4, "comparison_prompts": 1,
        "checkpoint_every": 1, "keep_checkpoints": 9, "lr_scheduler_type": "constant",
    }), (do.PromptItem("tea"),)))
    first = {name: series.values for name, series in store.metrics(1).items()}
    # What the run keeps is what goes on, so a clock that has moved on is tried by another text.
    store.record_prompt_ids(1, [[65, 66, 67]]).result()
    run(do.GoBack(1, 0, {}))
    assert store.metrics(1)["objective/entropy"].values != first["objective/entropy"]
    assert store.run_prompt_ids(1) == [[65, 66, 67]]
    assert store.run_prompt_ids(2) == [[65, 66, 67]]  # the abandoned branch


ENDED = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
         "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


@pytest.mark.parametrize(("template", "ends"), [
    (ENDED, {"<end>", "<|im_end|>"}), (ENDED.replace("<|im_end|>", "<end>"), {"<end>"}),
    (ENDED.replace("<|im_end|>", " "), {"<end>"})], ids=["of turns", "of texts", "none"])
def test_what_closes_an_answer_ends_a_completion(tmp_path, template, ends):
    """Where a base model's settings name the end of a text alone, turns would go on without end."""
    characters = tokenizer(chat_template=template)
    characters.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    folder = str(save_llama(tmp_path / "base", characters))
    loaded = load_policy(folder, CPU, quiet, use_chat_template=True)
    names = characters.convert_ids_to_tokens(list(loaded.policy_tokenizer.eos_ids))
    assert set(names) == ends
    told = ("Its chat template closes an answer with <|im_end|>, which ends completions here "
            "although its settings do not name it as an end.")
    assert (told in loaded.notes) == (len(ends) == 2)
    assert len(load_policy(folder, CPU, quiet).policy_tokenizer.eos_ids) == 1


TALK = (Message("system", "Be brief."), Message("user", "tea?"), Message("assistant", "No."),
        Message("user", "Why?"))


@pytest.mark.parametrize(("template", "says"), [
    (USUAL, ""),
    ("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}",
     "The policy's chat template leaves out a system turn in 2 prompts: the policy does not read "
     "them."),
    ("{{ messages[-1].content }}",
     "The policy's chat template leaves out a system turn in 2 prompts and turns of the user in "
     "one prompt and turns of the assistant in one prompt: the policy does not read them."),
], ids=["all", "system", "all but the last"])
def test_turns_that_a_template_leaves_out_are_said(folder, template, says):
    policy = with_template(folder / "policy", template)
    prompts = [Prompt("hi"), Prompt("Why?", messages=TALK), Prompt("Hi?", messages=TALK[:2])]
    policy_tokenizer = load_policy(policy, CPU, quiet, use_chat_template=True).policy_tokenizer
    assert policy_tokenizer.remark(prompts, policy_tokenizer.encode(prompts, 4)) == says
    policy_tokenizer = load_policy(policy, CPU, quiet).policy_tokenizer
    assert policy_tokenizer.remark(prompts, policy_tokenizer.encode(prompts, 4)) == ""


@pytest.mark.parametrize(("template", "says"), [
    (USUAL, ()),
    ("{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}",
     ("Its chat template leaves out a system turn: prompts that have one are scored without it.",)),
    ("{% if messages[0].role == 'system' %}{{ raise_exception('No system.') }}{% endif %}" + USUAL,
     ("Its chat template takes no system turn (No system): prompts that have one cannot be scored; "
      "let it read text instead.",)),
], ids=["reads it", "leaves it out", "raises"])
def test_what_a_reward_model_makes_of_a_system_turn_is_said(folder, template, says):
    assert load_reward(with_template(folder / "reward", template), CPU, quiet).notes == says
