"""Pairs made of the completions of a scored run."""

import math
from dataclasses import replace
from pathlib import Path

from workbench.records import Pair
from workbench.store.records import CompletionRecord, Message, Past, Prompt
from workbench.store.run_pairs import may_make_pairs, pairs_of_run, pairs_of_scored
from workbench.store.store import Store

TEA, FRUIT = Prompt("The tea was"), Prompt(
    "User: Hi.\n\nAssistant:", messages=(Message("system", "Be kind."), Message("user", "Hi.")))


def wrote(text: str, score: float, *, prompt: int = 0, ended: bool = True) -> CompletionRecord:
    return CompletionRecord(0, prompt, "", text, score, 0.0, 2, ended)


def test_the_best_stands_against_the_worst() -> None:
    found = pairs_of_scored([TEA, FRUIT], [
        wrote(" cold.", -1.0), wrote(" hot", 2.0, ended=False), wrote(" good.", 1.0),
        wrote(" wet.", 0.5), wrote(" odd.", 0.25), wrote("Yes.", 3.0, prompt=1),
        wrote("No.", 1.0, prompt=1), wrote(" alone.", math.nan)], least=0.75)
    # Of tea: hot over cold (3), good over odd (.75); wet is left over. Of Hi: Yes over No.
    assert found.pairs == (
        Pair("The tea was", " hot", " cold.", chosen_ended=False, margin=3.0),
        Pair("The tea was", " good.", " odd.", margin=0.75),
        Pair([("system", "Be kind."), ("user", "Hi.")], [("assistant", "Yes.")],
             [("assistant", "No.")], margin=2.0))
    assert found.counts == (("without a score", 1),)


def test_what_is_too_close_or_equal_is_no_pair() -> None:
    rows = [wrote(" a", 1.0), wrote(" a", 1.0), wrote(" b", 0.5), wrote(" c", 0.5),
            wrote(" ", 9.0, ended=False)]
    found = pairs_of_scored([TEA], rows, least=0.6)
    assert (found.pairs, found.counts) == ((), (("whose scores are too close", 1),))
    # Two that score the same are no pair however small the least difference is.
    found = pairs_of_scored([TEA], [wrote(" b", 0.5), wrote(" c", 0.5)], least=0.0)
    assert (found.pairs, found.counts) == ((), (("whose scores are too close", 1),))


def test_an_end_token_alone_is_a_completion() -> None:
    rows = [wrote(" a.", 1.0), wrote("", 0.0), wrote("", 5.0, ended=False)]
    assert pairs_of_scored([TEA], rows).pairs == (Pair("The tea was", " a.", "", margin=1.0),)


def test_the_least_difference_is_half_a_deviation() -> None:
    # Scores 0, 4, 0, 1: deviation 1.64, half of it .82.
    rows = [wrote(" a", 0.0), wrote(" b", 4.0), wrote("c", 0.0, prompt=1),
            wrote("d", 1.0, prompt=1)]
    assert len(pairs_of_scored([TEA, FRUIT], rows).pairs) == 2
    rows[-1] = replace(rows[-1], score=0.5)
    assert len(pairs_of_scored([TEA, FRUIT], rows).pairs) == 1


def test_runs_that_give_nothing_to_learn_from_are_left_out(home: Path) -> None:
    store = Store(home)

    def run(*cycles: list[CompletionRecord], draft: list[CompletionRecord] | None = None) -> int:
        number = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                                  prompts=[TEA, FRUIT]).result()
        store.record_comparison(number, 0, [wrote(" icy.", -9.0)]).result()
        for cycle, rollout in enumerate(cycles, 1):
            placed = [replace(each, position=i) for i, each in enumerate(rollout)]
            store.record_cycle(number, cycle, metrics={}, rollout=placed,
                               comparison=[wrote(" well.", 8.0)]).result()
        store.record_draft(number, len(cycles) + 1, draft or [], []).result()
        return number

    hot, odd, unscored = wrote(" hot.", 1.0), wrote(" odd.", 0.0), wrote(" bare.", math.nan)
    run([])  # as what learns from data, which writes to be compared alone
    run([unscored], [unscored])
    run(draft=[hot])
    first = run([hot], [unscored])  # its last cycle alone would say that there are none
    alike = run([hot, replace(odd, score=1.0)], [hot])
    apart = run([hot, wrote(" no.", 0.0, prompt=1)])  # of two prompts
    # Of one prompt, but 0.1 apart where half the deviation of all scores is 2.5.
    close = run([hot, wrote(" so.", 1.1), wrote("a", 11.0, prompt=1), wrote("b", 11.0, prompt=1)])
    both = run([hot], [odd])
    fork = run([hot], [odd], [])  # which learned from data since
    many = run([wrote(f" {number}.", 1.0) for number in range(150)] * 2)  # too many to be read
    runs = [replace(found, past=(Past(2, "ppo", {}),)) if found.id == fork else found
            for found in store.runs()]
    assert [found.id for found in runs if store.scored_rollout(found)] == [
        many, fork, both, close, apart, alike, first]
    assert [found.id for found in runs if may_make_pairs(store, found)] == [many, fork, both]
    assert [found.id for found in runs if pairs_of_run(store, found.id).pairs] == [fork, both]
    store.close()


def test_a_run_gives_pairs_across_its_cycles(home: Path) -> None:
    store = Store(home)
    run = store.create_run(
        name="", policy="p", reward="r", models={}, hyperparameters={}, prompts=[TEA]).result()
    # What was compared is not learned from.
    store.record_comparison(run, 0, [wrote(" icy.", -9.0)]).result()
    store.record_cycle(run, 1, metrics={}, rollout=[wrote(" cold.", 0.0)],
                       comparison=[wrote(" well.", 8.0)]).result()
    for cycle, text, score in ((2, " hot.", 2.0), (3, " odd.", 1.0)):
        store.record_cycle(
            run, cycle, metrics={}, rollout=[wrote(text, score)], comparison=[]).result()
    store.record_draft(run, 4, [wrote(" of a cycle in hand", 9.0)], []).result()
    assert pairs_of_run(store, run, least=0.5).pairs == (
        Pair("The tea was", " hot.", " cold.", margin=2.0),)
    store.close()
