"""Base models never write an end-of-sequence token: texts can end a completion in its place."""

import pytest
import torch
from helpers.client import Client
from helpers.folders import save_llama, save_reward, tokenizer, words
from helpers.models import CPU

from workbench.models.control import Unattended
from workbench.models.decoders import Decoder, FixedDecoder, GroupedDecoder
from workbench.models.decoding import Decoding
from workbench.models.loading import load_policy
from workbench.models.randomness import Stream, uniforms
from workbench.models.sampling import sample
from workbench.models.try_sampling import write
from workbench.ppo.hyperparameters import parse
from workbench.settings import HyperparameterError
from workbench.stop_strings import cut_at_stop, parse_stop_strings
from workbench.training import commands as do
from workbench.training import events as ev
from workbench.training.events import State

LENGTH = 24


def quiet(*_):
    pass


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A policy of words whose end-of-sequence token is never written."""
    folder = save_llama(tmp_path_factory.mktemp("models") / "policy", words())
    found = load_policy(str(folder), CPU, quiet)
    with torch.no_grad():
        found.policy.model.lm_head.weight[3] = 0
        found.policy.model.lm_head.weight[3, 0] = 0
    found.policy_tokenizer.eos_ids = ()
    return found


def completions(loaded, stop_strings, **more):
    loaded.policy_tokenizer.stop_strings = stop_strings
    prompts = loaded.policy_tokenizer.encode(["the tea", "a cat sat", "rain"] * 4, LENGTH)
    noise = uniforms(0, Stream.ROLLOUT, 1, len(prompts), LENGTH)
    return sample(
        loaded.policy,
        prompts,
        noise,
        temperature=1.0,
        eos_ids=loaded.policy_tokenizer.eos_ids,
        control=Unattended(),
        stopped=loaded.policy_tokenizer.stopped,
        **more,
    )


def fixed(*arguments):
    return FixedDecoder(*arguments)


def grouped(*arguments):
    return GroupedDecoder(*arguments, kind=Decoder)


@pytest.mark.parametrize("decoder", [Decoder, fixed, grouped])
def test_a_completion_ends_with_the_token_that_completes_a_stop_string(loaded, decoder):
    free = completions(loaded, ())
    assert not free.ended.any()
    assert free.lengths.tolist() == [LENGTH] * 12
    stops = ("good", "hot and", "at")
    done = completions(loaded, stops, decoder=decoder)
    ended = done.ended.tolist()
    assert sum(ended) > 0
    for row in range(12):
        whole, response = free.response(row), done.response(row)
        text = loaded.policy_tokenizer.tokenizer.decode(response)
        assert response == whole[: len(response)]
        assert ended[row] == any(stop in text for stop in stops)
        before = loaded.policy_tokenizer.tokenizer.decode(response[:-1])
        assert not any(stop in before for stop in stops)
        assert ended[row] or len(response) == LENGTH
        torch.testing.assert_close(
            done.logprobs[row, : len(response)], free.logprobs[row, : len(response)])
        exchange = loaded.policy_tokenizer.exchange("the tea", done.prompts[row], response)
        assert exchange.completion == cut_at_stop(
            loaded.policy_tokenizer.tokenizer.decode([4, *response], skip_special_tokens=True)[3:],
            stops,
        )
        assert exchange.joined == "the tea" + exchange.completion


def test_what_is_tried_by_hand_ends_there_too(loaded):
    loaded.policy_tokenizer.stop_strings = ("at",)
    prompts = loaded.policy_tokenizer.encode(["the tea"], LENGTH)
    tried = write(loaded.policy, prompts, Decoding(length=LENGTH, seed=3), eos_ids=(),
                  written=quiet, stopped=loaded.policy_tokenizer.stopped)
    text = loaded.policy_tokenizer.tokenizer.decode(tried.response(0))
    assert tried.ended.item() == ("at" in text)
    assert "at" not in loaded.policy_tokenizer.tokenizer.decode(tried.response(0)[:-1])


def test_a_stop_string_over_bytes_tokens_and_far_from_the_start(tmp_path):
    policy_tokenizer = load_policy(
        str(save_llama(tmp_path, tokenizer())), CPU, quiet
    ).policy_tokenizer
    policy_tokenizer.stop_strings = ("\n→Q",)
    start = policy_tokenizer.tokenizer("x" * 200)["input_ids"]
    stop = policy_tokenizer.tokenizer("\n→Q")["input_ids"]
    assert len(stop) == 5
    assert [policy_tokenizer.stopped([1], start + stop[:n]) for n in range(6)] == [False] * 5 + [
        True
    ]
    assert policy_tokenizer.exchange("p", [81], start + stop + start).completion == "x" * 200


@pytest.mark.parametrize(("text", "right"), [
    ("", ()), (r"\n", ("\n",)), (r"\nQ:|Human:", ("\nQ:", "Human:")), (r"a\|b|\\n", ("a|b", r"\n")),
    ("||x|x", ("x",)), ("→|東京", ("→", "東京")), (" .", (" .",))])
def test_how_they_are_written(text, right):
    assert parse_stop_strings(text) == right
    assert parse({"stop_strings": text}).stop_strings == text


@pytest.mark.parametrize(("text", "says"), [
    ("a\\", "A backslash stands alone at the end"), (r"\d+", r"\\d is not known"),
    ("|".join(map(str, range(17))), "There are 17 stop strings; 16 is the most")])
def test_what_cannot_be_one_is_said(text, says):
    with pytest.raises(HyperparameterError, match=rf"Stop strings \(stop_strings\): .*{says}"):
        parse({"stop_strings": text})


def test_a_run_with_stop_strings_resumes_exactly_and_says_how_many_ended(store, tmp_path):
    folder = save_llama(tmp_path / "policy", words())
    save_reward(tmp_path / "reward")

    def run(*commands):
        client = Client(store)
        for command in commands:
            client.send(command)
            if isinstance(command, do.LoadModels):
                client.wait_for(State.READY)
        assert client.wait(ev.RunFinished).outcome == "finished"
        client.close()

    settings = {"num_cycles": 2, "batch_size": 8, "response_length": 12, "comparison_prompts": 2,
                "checkpoint_every": 1, "lr_scheduler_type": "constant", "stop_strings": "good|at"}
    run(do.LoadModels(str(folder), str(tmp_path / "reward")),
        do.Start(parse(settings), (do.PromptItem("the tea"), do.PromptItem("a cat"))))
    before = store.metrics(1), [store.completions(1, c, "rollout") for c in (1, 2)]
    assert all("good" not in c.text and "at" not in c.text for rows in before[1] for c in rows)
    ended = [sum(c.ended for c in rows) for rows in before[1]]
    assert before[0]["val/num_eos_tokens"].values == ended
    assert all(ended)
    run(do.GoBack(1, 1, {}))
    after = store.metrics(1), [store.completions(1, c, "rollout") for c in (1, 2)]
    assert after[1] == before[1]
    assert {k: s.values for k, s in after[0].items() if "second" not in k} == {
        k: s.values for k, s in before[0].items() if "second" not in k}
