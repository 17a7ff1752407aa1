"""Completions of one prompt that share a row of the model are read as if each stood alone."""

from dataclasses import replace

import pytest
import torch
from helpers.models import make_policy, make_ppo
from helpers.preferences import make_dpo, parse, ragged

from workbench.models.branches import lay_out, share_rows, side_by_side
from workbench.models.control import Unattended
from workbench.models.forward import micro_batches, read_logprobs
from workbench.models.sampling import Completions
from workbench.ppo import hyperparameters

LENGTHS = (5, 1, 3, 7, 2, 4)


def completions(prompt_length=12, lengths=LENGTHS, siblings=3):
    """Two prompts with three completions each."""
    draw = torch.Generator().manual_seed(0)
    prompts = torch.randint(1, 97, (len(lengths) // siblings, prompt_length), generator=draw)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    tokens = torch.randint(1, 97, mask.shape, generator=draw) * mask
    nothing = torch.zeros(mask.shape)
    return Completions(
        [prompts[row // siblings].tolist() for row in range(len(lengths))], tokens, mask, nothing,
        nothing, nothing, torch.ones(len(lengths), dtype=torch.bool), siblings=siblings)


def shared(some, rows, width, max_tokens, together):
    return share_rows([len(p) for p in some.prompts], some.lengths.tolist(), some.siblings, rows,
                      width, max_tokens, together)


def test_a_row_by_hand():
    # Prompt 7 8, answers 1 2 3 and 4 5: the last token of each is predicted, not read.
    line = lay_out([7, 8], [5, 6], [[1, 2, 3], [4, 5]])
    assert line.ids == [7, 8, 1, 2, 4]
    assert line.positions == [0, 1, 2, 3, 2]
    assert line.source == [1, 2, 3, 1, 4]
    assert (line.row, line.column) == ([5, 5, 5, 6, 6], [0, 1, 2, 0, 1])
    *_, seen = side_by_side([line, lay_out([9], [7], [[3]])])
    assert seen.shape == (2, 1, 5, 5)
    assert seen[0, 0].long().tolist() == [
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen3", "gemma", "phi", "pythia"])
@pytest.mark.parametrize("max_tokens", [0, 24])
def test_log_probabilities_are_those_of_each_alone(architecture, max_tokens):
    policy, together = make_policy(architecture), completions()
    alone = replace(together, siblings=1)
    found, expected = (read_logprobs(policy, some, temperature=0.8, max_tokens=max_tokens,
                                     control=Unattended()) for some in (together, alone))
    assert len(shared(together, range(6), policy.branches, max_tokens or 999, 1)) < 6
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-6)
    assert expected[together.mask].std() > 0.5


@pytest.mark.parametrize("max_tokens", [10, 20, 30, 1000])
@pytest.mark.parametrize("rows", [range(6), [5, 0, 3, 2], [4]])
def test_every_token_comes_once_in_rows_that_fit(max_tokens, rows):
    some = completions()
    found = list(micro_batches(some, torch.tensor(rows), max_tokens=max_tokens,
                               device=torch.device("cpu"), branches=64))
    places = [place for batch in found
              for place in zip(batch.row.tolist(), batch.column.tolist(), strict=True)]
    assert sorted(places) == sorted((row, at) for row in rows for at in range(LENGTHS[row]))
    # A single completion is read whole, however long it is.
    assert all(batch.input_ids.numel() <= max_tokens or len(batch.row.unique()) == 1
               for batch in found)


def test_what_saves_nothing_does_not_share():
    # A token of prompt costs a model of width 8 48 units; a shared row of 2 + 2·40 tokens has
    # 6,400 - 1,600 - 882 more pairs to look at than two of 42.
    short, long = completions(2, (40, 40), 2), completions(60, (4, 4), 2)
    assert shared(short, [0, 1], 8, 1000, 1) == shared(short, [0, 1], 8, 1000, 2) == []
    assert shared(long, [0, 1], 8, 1000, 1) == shared(long, [0, 1], 8, 1000, 2) == [[0, 1]]
    assert shared(long, [0, 1], 0, 1000, 1) == []
    assert shared(replace(long, siblings=1), [0, 1], 8, 1000, 1) == []
    assert shared(long, [0, 1], 8, 67, 1) == []


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.policy.model.parameters()])


@pytest.mark.parametrize("settings", [
    {}, {"ratio_level": "sequence"}, {"num_mini_batches": 2, "micro_batch_tokens": 16},
    {"gradient_checkpointing": True}, {"lora_rank": 4}])
def test_groups_learn_the_same(settings):
    hp = hyperparameters.parse({
        "num_cycles": 2, "batch_size": 8, "response_length": 5, "advantage_estimator": "group",
        "completions_per_prompt": 4, "kl_in": "loss", **settings})
    found = []
    for branches in (True, False):
        ppo = make_ppo(lambda text: text.count("e") + 0.1 * len(text.strip()))
        ppo.policy.capabilities = replace(ppo.policy.capabilities, branches=branches)
        ppo.begin(["A prompt of some length", "Another one, a bit longer"], hp)
        assert bool(ppo.policy.branches) is branches
        before = weights(ppo)
        metrics = ppo.run_cycle(1, hp, [0], Unattended()).metrics
        found.append((metrics, weights(ppo) - before))
    (shared, moved), (single, expected) = found
    for name in ("objective/kl", "loss/policy_avg", "policy/approxkl", "policy/entropy_avg",
                 "policy/grad_norm", "val/ratio"):
        assert shared[name] == pytest.approx(single[name], rel=1e-4, abs=1e-6)
    torch.testing.assert_close(moved, expected, rtol=1e-2, atol=0.02 * expected.abs().max().item())


@pytest.mark.parametrize("settings", [{}, {"micro_batch_tokens": 16}, {"loss_type": "ipo"}])
def test_pairs_learn_the_same(settings):
    pairs = [replace(pair, prompt=f"{pair.prompt} after a longer beginning")
             for pair in ragged()]
    hp = parse(**settings)
    found = []
    for branches in (True, False):
        dpo = make_dpo(pairs)
        dpo.policy.capabilities = replace(dpo.policy.capabilities, branches=branches)
        dpo.begin(["A"], hp)
        before = weights(dpo)
        metrics = dpo.run_cycle(1, hp, [0], Unattended()).metrics
        found.append((metrics, weights(dpo) - before))
    (shared, moved), (single, expected) = found
    for name in ("loss/preference", "rewards/margins", "logps/chosen", "policy/grad_norm"):
        assert shared[name] == pytest.approx(single[name], rel=1e-4, abs=1e-5)
    torch.testing.assert_close(moved, expected, rtol=1e-2, atol=0.02 * expected.abs().max().item())
