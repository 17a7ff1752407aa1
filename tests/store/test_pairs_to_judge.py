"""Pairs made of what a run wrote."""

from workbench.store.judged import Origin
from workbench.store.pairs_to_judge import pairs_of_cycles, pairs_of_siblings
from workbench.store.records import CompletionRecord, Message, Prompt
from workbench.store.store import Store

TURNS = (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Go on."))
PROMPTS = [Prompt("The tea was"), Prompt("User: Hi", messages=TURNS)]


def written(position: int, prompt: int, text: str, score: float = 0.5) -> CompletionRecord:
    return CompletionRecord(position, prompt, PROMPTS[prompt].text, text, score, 0.1, 3, True)


def new_run(store: Store) -> int:
    run_id = store.create_run(name="", policy="p", reward="taste", models={}, hyperparameters={},
                              prompts=PROMPTS).result()
    store.record_comparison(run_id, 0, [written(0, 0, " cold."), written(1, 1, "No.")])
    store.record_cycle(
        run_id, 1, metrics={}, comparison=[written(0, 0, " hot."), written(1, 1, "Well.", 2.0)],
        rollout=[written(0, 0, " a"), written(1, 1, "x"), written(2, 0, " a "), written(3, 0, " b"),
                 written(4, 1, "y"), written(5, 0, " c"), written(6, 0, " d")]).result()
    return run_id


def test_two_cycles_make_a_pair_of_each_compared_prompt(store: Store) -> None:
    run_id = new_run(store)
    first, second = pairs_of_cycles(store, run_id, 0, 1)
    assert (first.prompt, first.first.text, first.second.text) == ("The tea was", " cold.", " hot.")
    assert (first.turns, second.turns, second.messages) == (False, True, TURNS)
    assert (second.first.score, second.second.score, second.scored_by) == (0.5, 2.0, "taste")
    assert second.second.origin == Origin(store.identity(run_id), 1, "comparison", 1)
    assert pairs_of_cycles(store, run_id, 0, 9) == []


def test_siblings_stand_two_and_two(store: Store) -> None:
    """Equal texts are one; what is left over is in no pair."""
    run_id = new_run(store)
    found = pairs_of_siblings(store, run_id, 1)
    assert [(p.prompt, p.first.text, p.second.text) for p in found] == [
        ("The tea was", " a ", " b"), ("The tea was", " c", " d"), ("User: Hi", "x", "y")]
    assert found[2].second.origin == Origin(store.identity(run_id), 1, "rollout", 4)
