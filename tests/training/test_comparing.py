"""Several ways to learn on the same models, prompts and budget."""

import json
from pathlib import Path

import pytest

from workbench.ppo.hyperparameters import parse
from workbench.records import Pair, PairData, ScoredData, ScoredText, TextPrompt
from workbench.store.records import CompletionRecord
from workbench.store.schema import FILE_NAME, connect, migrations
from workbench.store.store import Store
from workbench.training.comparing import (
    CompareError,
    Plan,
    begun_with,
    data_for_next,
    data_of,
    find_ways,
    make_plan,
    progress,
    used,
    usual_budget,
    ways,
)


def started(planned):
    """Return the settings that a planned run starts with."""
    return planned.start(1, 0, (), {}).hyperparameters


def test_ways_are_found_by_name_in_any_case() -> None:
    assert [way.name for way in find_ways(["grpo", " Ppo", "grpo"])] == ["GRPO", "PPO"]
    assert {"PPO", "GRPO", "RLOO", "REINFORCE++"} <= {way.name for way in ways()}
    with pytest.raises(CompareError, match="no way to learn called 'PP0'; there are: PPO, GRPO"):
        find_ways(["PP0"])


def test_a_plan_has_what_the_ways_have_in_common() -> None:
    like = parse({"batch_size": 24, "learning_rate": 1e-3, "kl_coef": 0.5, "num_cycles": 7})
    plan = make_plan(find_ways(["PPO", "GRPO"]), [3, 1], like, 100, "samples")
    assert [run.name for run in plan.runs] == [
        "PPO, seed 3", "GRPO, seed 3", "PPO, seed 1", "GRPO, seed 1"]
    ppo, grpo, *_ = (started(run) for run in plan.runs)
    assert (ppo.learning_rate, grpo.learning_rate) == (1e-3, 1e-3)
    assert (ppo.num_cycles, grpo.num_cycles) == (5, 5)  # 100 completions, 24 at a time
    assert (grpo.advantage_estimator, grpo.completions_per_prompt) == ("group", 8)
    assert (ppo.seed, grpo.seed) == (3, 3)
    assert Plan.of_json(plan.as_json()) == plan


def test_a_way_that_writes_nothing_has_its_own_steps_and_as_many_cycles() -> None:
    like = parse({"batch_size": 24, "learning_rate": 1e-3, "num_cycles": 7, "response_length": 9})
    plan = make_plan(find_ways(["DPO"]), [2], like, 10, "samples")
    (dpo,) = (started(run) for run in plan.runs)
    own = type(dpo)()
    assert (dpo.batch_size, dpo.learning_rate) == (own.batch_size, own.learning_rate)
    assert (dpo.num_cycles, dpo.response_length, dpo.seed) == (7, 9, 2)


def test_a_way_without_data_is_refused_unless_one_that_writes_comes_before_it() -> None:
    def plan(*names: str) -> Plan:
        return make_plan(find_ways(names), [0, 1], parse({}), 640, "samples")

    def nothing(kind: str) -> bool:
        return False

    for early in (("ILQL", "PPO"), ("DPO", "ILQL")):
        with pytest.raises(CompareError, match="ILQL learns from what finished runs of the same"):
            plan(*early).check_data(nothing)
    with pytest.raises(CompareError, match=r"KTO and ILQL learn from .*before them"):
        plan("KTO", "DPO", "ILQL").check_data(nothing)
    plan("DPO", "PPO", "ILQL").check_data(nothing)
    plan("DPO").check_data(nothing)
    plan("KTO", "ILQL").check_data(lambda kind: True)


def test_a_plan_says_what_each_way_has() -> None:
    like = parse({"num_cycles": 7, "batch_size": 24})
    plan = make_plan(find_ways(["PPO", "DPO"]), [0], like, 100, "samples")
    dpo = plan.runs[1].settings
    drawn = 7 * dpo.batch_size * dpo.steps_per_cycle
    assert plan.summary(lambda kind: f"some {kind}") == [
        "2 runs:", "PPO: 5 cycles of 24 completions: 120 written.",
        f"DPO: 7 cycles of {dpo.batch_size} pairs, {dpo.steps_per_cycle} times: {drawn:,} drawn "
        "from some pairs."]


def test_settings_of_another_algorithm_are_those_set_for_it() -> None:
    like = find_ways(["ILQL"])[0].settings(parse({"num_cycles": 3, "response_length": 9}))
    own = {"ppo": {"batch_size": 16, "learning_rate": 1e-3, "response_length": 30}}
    (grpo,) = make_plan(find_ways(["GRPO"]), [0], like, 33, "samples", own).runs
    assert (grpo.settings.batch_size, grpo.settings.learning_rate) == (16, 1e-3)
    assert grpo.settings.response_length == 9  # compared completions are alike
    assert grpo.amount("samples") == "3 cycles of 16 completions: 48 written"
    assert usual_budget(ways(), like, own) == 48


@pytest.mark.parametrize(("names", "seeds", "budget", "sentence"), [
    ([], [0], 100, "at least one way"), (["PPO"], [], 100, "and one seed"),
    (["PPO"], [0], 0, "must be above 0 samples"),
    (["DPO", "GRPO"], [0], 63, "GRPO writes 64 completions in each cycle: let each run have at")])
def test_nothing_is_no_comparison(names, seeds, budget, sentence) -> None:
    with pytest.raises(CompareError, match=sentence):
        make_plan(find_ways(names), seeds, parse({}), budget, "samples")


NO_REWARD = {"reward": [], "use_chat_template": False}


def begin(store: Store, number: int, place: int) -> int:
    plan = Plan.of_json(store.sweep(number).plan)
    planned = plan.runs[place]
    return store.create_run(
        name=planned.name, policy="p", reward="r", models=NO_REWARD, prompts=(),
        hyperparameters=planned.hyperparameters, sweep=(number, place)).result()


def test_where_a_comparison_stands(store: Store) -> None:
    plan = make_plan(find_ways(["PPO", "RLOO"]), [0], parse({}), 64, "samples")
    number = store.create_sweep("PPO, RLOO", plan.as_json()).result()
    assert [at.run for at in progress(store, number)] == [None, None]
    run_id = begin(store, number, 1)
    first, second = progress(store, number)
    assert first.run is None
    assert (second.run.id, second.run.sweep, second.run.place) == (run_id, number, 1)
    assert not second.done
    store.set_status(run_id, "finished").result()
    assert [at.done for at in progress(store, number)] == [False, True]
    with pytest.raises(CompareError, match="There is no comparison 9"):
        progress(store, 9)


def test_seconds_end_a_run(store: Store) -> None:
    plan = make_plan(find_ways(["PPO"]), [0], parse({}), 5.0, "seconds")
    number = store.create_sweep("PPO", plan.as_json()).result()
    run_id = begin(store, number, 0)
    for cycle, done in ((1, False), (2, True)):
        store.record_cycle(
            run_id, cycle, metrics={"seconds": 3.0}, rollout=(), comparison=()).result()
        assert used(store, run_id) == 3.0 * cycle
        assert [at.done for at in progress(store, number)] == [done]


def test_data_goes_to_what_learns_from_its_kind(store: Store) -> None:
    pairs = PairData("Mine", (Pair("p", "good", "bad"),))
    texts = ScoredData("Mine too", (ScoredText(TextPrompt("p"), " good", 1.0),))
    chosen = {"pairs": pairs, "completions": texts}
    plan = make_plan(find_ways(["PPO", "DPO", "ILQL"]), [0], parse({}), 64, "samples")
    assert [run.start(1, 0, (), chosen).data for run in plan.runs] == [None, pairs, texts]
    assert [run.start(1, 0, (), {}).data for run in plan.runs] == [None, None, None]
    number = store.create_sweep(plan.name, plan.as_json()).result()
    assert begun_with(store, number) is None
    for place, run in enumerate(plan.runs):
        store.create_run(
            name=run.name, policy="p", reward="r", prompts=(), algorithm=run.algorithm,
            models={"reward": [], "use_chat_template": False}, hyperparameters=run.hyperparameters,
            sweep=(number, place), data=run.start(1, place, (), chosen).data).result()
    _, _, data = begun_with(store, number)
    assert data == chosen  # it goes on with those that it was begun with


def test_a_comparison_keeps_what_was_chosen_for_runs_that_have_not_begun(store: Store) -> None:
    pairs = PairData("Mine", (Pair("p", "good", "bad"),), "1 pair.")
    texts = ScoredData("Mine too", (ScoredText(TextPrompt("p"), " good", 1.0),))
    plan = make_plan(find_ways(["PPO", "DPO", "ILQL"]), [0], parse({}), 64, "samples")
    numbers = [store.create_sweep(plan.name, plan.as_json(), chosen).result() for chosen in (
        {"pairs": pairs, "completions": (4, 1)}, {"completions": texts}, {})]
    deleted = store.create_run(name="", policy="p", reward="r", models={}, prompts=(),
                               hyperparameters={}, data=pairs).result()
    begun = [begin(store, number, 0) for number in numbers]
    store.set_status(deleted, "finished").result()
    store.delete_run(deleted).result()  # takes along what nobody learns from any more
    assert begun
    assert [begun_with(store, number)[2] for number in numbers] == [
        {"pairs": pairs, "completions": (4, 1)}, {"completions": texts}, {}]


def test_a_comparison_of_before_choices_were_kept_opens(tmp_path: Path) -> None:
    plan = make_plan(find_ways(["PPO", "DPO"]), [0], parse({}), 64, "samples")
    db = connect(tmp_path / FILE_NAME, create=True)
    migrations.apply(db, stop_before="data_of_sweeps")
    db.table("sweeps").insert({"id": 1, "name": "PPO, DPO", "created_at": "2026-01-01T00:00:00Z",
                               "plan": json.dumps(plan.as_json())})
    db.close()
    store = Store(tmp_path)
    try:
        begin(store, 1, 0)
        assert begun_with(store, 1)[2] == {}
    finally:
        store.close()


def test_what_the_first_has_found_to_learn_from_all_of_a_comparison_have(store: Store) -> None:
    plan = make_plan(find_ways(["ILQL", "PPO"]), [0, 1], parse({}), 64, "samples")
    number = store.create_sweep(plan.name, plan.as_json()).result()
    assert data_of(store, number) == {}
    found = [ScoredData(f"Run {i}", (ScoredText(TextPrompt("p"), f" {i}", 1.0),)) for i in (1, 2)]
    for place, data in ((0, found[0]), (1, None), (2, found[1])):
        store.create_run(
            name=plan.runs[place].name, policy="p", reward="r", prompts=(),
            algorithm=plan.runs[place].algorithm, models={"reward": [], "use_chat_template": False},
            hyperparameters=plan.runs[place].hyperparameters, sweep=(number, place),
            data=data).result()
    assert data_of(store, number) == {"completions": found[0]}


def test_what_a_run_wrote_in_its_seconds_is_learned_from(store: Store) -> None:
    plan = make_plan(find_ways(["PPO", "ILQL"]), [0], parse({}), 5.0, "seconds")
    number = store.create_sweep(plan.name, plan.as_json()).result()
    models = {"reward": [], "use_chat_template": False}
    earlier, ppo = (store.create_run(
        name="PPO", policy="p", reward="r", models=models, prompts=(), hyperparameters={},
        sweep=sweep).result() for sweep in (None, (number, 0)))
    wrote = [CompletionRecord(0, 0, "p", " good", 1.0, 0.0, 1, True)]
    for run_id, status in ((earlier, "finished"), (ppo, "stopped")):
        store.record_cycle(
            run_id, 1, metrics={"seconds": 3.0}, rollout=wrote, comparison=()).result()
        store.set_status(run_id, status).result()
    assert data_for_next(store, number, {}) == {}  # it has not had its seconds
    store.record_cycle(ppo, 2, metrics={"seconds": 3.0}, rollout=(), comparison=()).result()
    assert data_for_next(store, number, {}) == {"completions": (ppo, earlier)}
    mine = ScoredData("Mine", (ScoredText(TextPrompt("p"), " good", 1.0),))
    assert data_for_next(store, number, {"completions": mine}) == {"completions": mine}
