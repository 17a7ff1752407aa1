import math
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from tools.large_store import make

from workbench.algorithms import headlines
from workbench.records import Likeliest, TokenTrace
from workbench.store import checkpoints
from workbench.store.home import StoreError, find_home
from workbench.store.records import CompletionRecord, Prompt, PromptSet
from workbench.store.schema import FILE_NAME
from workbench.store.store import Store

PROMPTS = [Prompt("first"), Prompt("second", pinned=True)]


def completion(position=0, prompt=1, **more):
    values = {"text": "text", "score": 1.5, "kl": 0.5, "length": 3, "ended": True, **more}
    return CompletionRecord(position, prompt, PROMPTS[prompt].text, **values)


def new_run(store, **more):
    return store.create_run(
        name=more.get("name", ""), policy="p", reward="r", models={"policy": {"device": "cpu"}},
        hyperparameters={"seed": 1}, prompts=PROMPTS).result()


def test_a_run_comes_back_as_it_was(store):
    run_id = new_run(store)
    store.record_comparison(run_id, 0, [completion()])
    store.record_cycle(
        run_id, 1, metrics={"objective/scores": 0.25, "loss/value_avg": math.inf},
        rollout=[completion(i) for i in range(3)],
        comparison=[completion(score=math.nan, ended=False)])
    store.record_changes(run_id, 2, [("kl_coef", 0.05, 0.1, "person")])
    store.set_status(run_id, "finished").result()

    run = store.run(run_id)
    assert (run.name, run.status, run.cycles) == ("Run 1", "finished", 1)
    assert run.models == {"policy": {"device": "cpu"}}
    assert run.hyperparameters == {"seed": 1}
    assert store.runs() == [run]
    series = store.metrics(run_id)
    assert (series["objective/scores"].cycles, series["objective/scores"].values) == ([1], [0.25])
    assert math.isnan(series["loss/value_avg"].values[0])
    assert store.compared_cycles(run_id) == [0, 1]
    assert store.completions(run_id, 0) == [completion()]
    after = store.completions(run_id, 1)[0]
    assert math.isnan(after.score)
    assert not after.ended
    assert len(store.completions(run_id, 1, "rollout")) == 3
    [change] = store.changes(run_id)
    assert (change.cycle, change.name, change.old, change.new) == (2, "kl_coef", 0.05, 0.1)
    assert store.run_prompts(run_id) == PROMPTS


def test_writes_survive_closing(home):
    first = Store(home)
    run_id = new_run(first)
    first.record_cycle(run_id, 1, metrics={"x": 1.0}, rollout=[], comparison=[])
    first.close()
    again = Store(home)
    assert again.metrics(run_id)["x"].values == [1.0]
    again.close()


def test_a_cycle_recorded_twice_is_there_once(store):
    run_id = new_run(store)
    for value in (1.0, 2.0):
        store.record_cycle(run_id, 1, metrics={"x": value}, rollout=[completion()],
                           comparison=[completion()]).result()
    assert store.metrics(run_id)["x"].values == [2.0]
    assert len(store.completions(run_id, 1)) == 1


def test_rename_and_delete(store):
    keep, drop = new_run(store), new_run(store, name="mine")
    store.record_cycle(drop, 1, metrics={"x": 1.0}, rollout=[completion()], comparison=[])
    store.rename_run(keep, "kept").result()
    store.delete_run(drop).result()
    assert [r.name for r in store.runs()] == ["kept"]
    assert store.metrics(drop) == {}
    assert store.run(drop) is None


def test_prompt_sets(store):
    first = PromptSet("mine", (Prompt("a"), Prompt("b\nc", enabled=False, pinned=True)), "f.txt")
    store.save_prompt_set(first).result()
    assert store.prompt_set("mine") == first
    shorter = PromptSet("mine", (Prompt("z"),))
    store.save_prompt_set(shorter).result()
    assert store.prompt_set("mine") == shorter
    assert store.prompt_set_names() == ["mine"]
    assert store.prompt_set("other") is None
    store.save_prompt_set(PromptSet("kept", first.prompts)).result()
    store.delete_prompt_set("mine").result()
    assert store.prompt_set_names() == ["kept"]
    assert len(store.prompt_set("kept").prompts) == 2


def test_a_failing_write_says_so_and_harms_no_other(store):
    run_id = new_run(store)
    bad = store.record_comparison(99, 0, [completion()])
    good = store.set_status(run_id, "paused")
    with pytest.raises(sqlite3.IntegrityError):
        bad.result()
    good.result()
    assert store.run(run_id).status == "paused"


def test_two_stores_on_one_home(home):
    # A window and a headless run, say.
    stores = [Store(home), Store(home)]

    def work(store):
        for _ in range(20):
            new_run(store)

    threads = [threading.Thread(target=work, args=(s,)) for s in stores]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(stores[0].runs()) == len(stores[1].runs()) == 40
    for s in stores:
        s.close()


def test_a_file_that_is_no_database(home):
    home.mkdir(parents=True, exist_ok=True)
    (home / FILE_NAME).write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreError, match=r"is damaged .* to start afresh"):
        Store(home)


def test_many_that_open_a_new_home_at_once(tmp_path):
    code = ("import sys; from pathlib import Path; from workbench.store.store import Store\n"
            "for home in sys.argv[1:]:\n"
            "    print(sys.stdin.readline(), end='', flush=True)\n"
            "    Store(Path(home)).close()\n"
            "    print('opened', flush=True)")
    homes = [tmp_path / str(attempt) for attempt in range(3)]
    processes = [subprocess.Popen([sys.executable, "-c", code, *homes], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  bufsize=1) for _ in range(4)]
    for _ in homes:
        for process in processes:  # all at once, when they have imported what they need
            process.stdin.write("now\n")
        for process in processes:
            assert [process.stdout.readline() for _ in range(2)] == ["now\n", "opened\n"]
    assert [(p.communicate()[1], p.returncode) for p in processes] == [("", 0)] * 4


def test_a_database_that_cannot_be_locked(tmp_path):
    (tmp_path / "workbench.db.lock").mkdir()
    with pytest.raises(StoreError, match=r"cannot be locked .* choose another home folder"):
        Store(tmp_path)


def test_a_database_of_a_newer_version(home):
    Store(home).close()
    with sqlite3.connect(home / FILE_NAME) as db:
        db.execute("insert into _sqlite_migrations (migration_set, name, applied_at) "
                   "values ('ppo-workbench', 'from_the_future', '')")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(home)


def test_a_home_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "file" / "home")


def test_where_home_is(monkeypatch, tmp_path):
    monkeypatch.setenv("PPO_WORKBENCH_HOME", str(tmp_path / "a"))
    assert find_home() == tmp_path / "a"
    assert find_home(tmp_path / "b") == tmp_path / "b"
    monkeypatch.delenv("PPO_WORKBENCH_HOME")
    assert find_home().name == "ppo-workbench"


LIKELIEST = Likeliest(
    np.array([[3, 1], [0, 3], [2, 1]], np.int32), {0: "a", 1: " ß", 2: "“", 3: ""},
    {by: np.arange(6, dtype=np.float32).reshape(3, 2) - i
     for i, by in enumerate(("start", "before", "after"))})


def trace(position, prompt, length=3, likeliest=None):
    numbers = {name: np.arange(length, dtype=np.float32) + i
               for i, name in enumerate(("logprob", "value"))}
    return TokenTrace(
        position, prompt, np.arange(length, dtype=np.int32), ("a", "ß", "")[:length], numbers,
        likeliest)


def test_token_traces_come_back_and_old_ones_go(store):
    run_id = new_run(store)
    for cycle in (1, 2, 3):
        store.record_cycle(
            run_id, cycle, metrics={}, rollout=[], comparison=[],
            traces=[trace(0, 0, likeliest=LIKELIEST), trace(1, 1, length=2)],
            keep_traces=2).result()
    # Prompt 1 is pinned: its traces stay.
    assert [[t.prompt for t in store.traces(run_id, c)] for c in (1, 2, 3)] == [
        [1], [0, 1], [0, 1]]
    found, expected = store.traces(run_id, 3)[0], trace(0, 0)
    assert found.pieces == expected.pieces
    assert found.tokens.tolist() == expected.tokens.tolist()
    assert {k: v.tolist() for k, v in found.numbers.items()} == {
        k: v.tolist() for k, v in expected.numbers.items()}
    # The likeliest tokens, where they were kept.
    assert store.trace(run_id, 3, 1).likeliest is None
    assert found.likeliest.tokens.tolist() == LIKELIEST.tokens.tolist()
    assert found.likeliest.pieces == LIKELIEST.pieces
    assert {k: v.tolist() for k, v in found.likeliest.logprobs.items()} == {
        k: v.tolist() for k, v in LIKELIEST.logprobs.items()}


def test_how_numbers_of_tokens_are_spread_outlives_the_tokens(store):
    run_id = new_run(store)
    rng = np.random.default_rng(0)
    numbers = {}
    for cycle in (1, 2, 3):
        parts = [rng.normal(size=n).astype(np.float32) for n in (5, 9)]
        parts[0][2] = np.nan  # which says nothing
        numbers[cycle] = np.delete(np.concatenate(parts), 2)
        store.record_cycle(
            run_id, cycle, metrics={}, rollout=[], comparison=[], keep_traces=1, traces=[
                TokenTrace(i, 0, np.zeros(len(part), np.int32), ("a",) * len(part),
                           {"advantage": part, "empty": np.full(len(part), np.nan, np.float32)})
                for i, part in enumerate(parts)]).result()
    assert store.traces(run_id, 1) == []
    found = store.token_quantiles(run_id, ["advantage", "empty", "other"])
    assert list(found["advantage"]) == [1, 2, 3]
    assert found["other"] == {}
    for cycle, values in numbers.items():
        assert found["advantage"][cycle] == pytest.approx(
            [np.percentile(values, p) for p in range(0, 101, 5)], rel=1e-6)
        assert np.isnan(found["empty"][cycle]).all()
    assert list(store.token_quantiles(run_id, ["advantage"], after=2)["advantage"]) == [3]
    fork = store.fork_run(run_id, 2, name="", hyperparameters={}, changes=()).result()
    assert list(store.token_quantiles(fork, ["advantage"])["advantage"]) == [1, 2]
    store.rewind(run_id, 1).result()
    assert list(store.token_quantiles(run_id, ["advantage"])["advantage"]) == [1]
    store.delete_run(run_id).result()
    assert store.token_quantiles(run_id, ["advantage"])["advantage"] == {}


def test_a_checkpoint_that_goes_while_they_are_listed_is_left_out(store, monkeypatch):
    for cycle in (1, 2):
        store.checkpoints.write(1, cycle, {}, {})
    measure = checkpoints._size

    def meanwhile(folder):
        store.checkpoints.remove(1, 1)  # as the process that trains the run does
        return measure(folder)

    monkeypatch.setattr(checkpoints, "_size", meanwhile)
    assert [c.cycle for c in store.checkpoints.all(1)] == [2]


def test_what_is_listed_of_all_runs_takes_two_queries(home):
    make(home, runs=20, cycles=4, long=0)
    store = Store(home)
    store.record_changes(3, 2, [("num_cycles", 4, 9, "person")]).result()
    store.record_changes(4, 5, [("num_cycles", 4, 7, "person")]).result()  # to be used by the next
    asked = []
    store._db.conn.set_trace_callback(asked.append)
    spans, lengths = store.metric_spans(headlines()), store.lengths()
    assert len([query for query in asked if query.startswith("select")]) == 2
    assert lengths == {3: 9, 4: 7}
    assert store.settings_planned(4)["num_cycles"] == 7
    assert store.settings_after(4, 4)["num_cycles"] == 4
    for run in store.runs():
        values = store.metrics(run.id)["objective/scores"].values
        assert spans[run.id] == (values[0], values[-1])
    store.close()


def test_the_compared_reward_of_runs_begins_at_the_start_policy(store):
    runs = [store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                             prompts=[Prompt("one"), Prompt("two")]).result() for _ in range(2)]
    name = "objective/scores_compared"
    for run_id, recorded in zip(runs, (True, False), strict=True):
        for cycle, score in enumerate((-0.4, 0.2, -0.3)):
            texts = [CompletionRecord(i, i, "", "", score + i, 0.5, 3, True) for i in range(2)]
            if cycle:
                store.record_cycle(
                    run_id, cycle, metrics={name: score + 0.5} if recorded else {"loss": 1.0},
                    rollout=[], comparison=texts).result()
            else:
                store.record_comparison(run_id, 0, texts).result()
    fork = store.fork_run(runs[0], 1, name="", hyperparameters={}, changes=()).result()
    by = {store.run(runs[0]).algorithm: name}
    spans = store.metric_spans(by, compared=name)
    assert spans == {runs[0]: (pytest.approx(0.1), pytest.approx(0.2)),
                     runs[1]: (pytest.approx(0.1), pytest.approx(0.2)),
                     fork: (pytest.approx(0.1), pytest.approx(0.7))}
    assert store.metric_spans(by, fork, compared=name) == {fork: spans[fork]}
    # Any other metric begins with what the first cycle had.
    other = {store.run(runs[0]).algorithm: "loss"}
    assert store.metric_spans(other, compared=name) == {runs[1]: (1.0, 1.0)}


def test_one_compared_prompt_is_read_over_its_cycles(store):
    run_id = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=[Prompt("one"), Prompt("two")]).result()
    for cycle in (0, 2, 3):
        store.record_comparison(run_id, cycle, [
            CompletionRecord(i, i, "", f" {cycle}", math.nan if cycle == 3 else cycle + i / 10,
                             0.5, 3, True) for i in range(2)]).result()
    found = store.compared_completion(run_id, 2, 1)
    assert (found.prompt_text, found.text, found.score) == ("two", " 2", 2.1)
    assert store.compared_completion(run_id, 1, 1) is None
    assert store.compared_completion(run_id, 2, 2) is None
    rewards = store.compared_rewards(run_id, 1, [0, 1, 2, 3])
    assert {cycle: score for cycle, score in rewards.items() if cycle < 3} == {0: 0.1, 2: 2.1}
    assert math.isnan(rewards[3])
    assert store.compared_rewards(run_id, 1, []) == {}


def test_a_store_knows_which_prompts_tokens_are_kept(store):
    from helpers.traces import fill

    run_id = fill(store, cycles=3, keep=2)
    assert [store.is_traced(run_id, cycle, 1) for cycle in (0, 1, 2, 3)] == [
        False, False, True, True]
    assert not store.is_traced(run_id, 3, 7)
