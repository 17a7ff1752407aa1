"""What many GPUs take, on paper, against numbers derived by hand."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.gpu_costs import (
    DEVICES,
    SHAPES,
    Plan,
    Shape,
    Shares,
    activations,
    beginning,
    ends,
    held,
    is_sharded,
    learns,
    of_node,
    on_links,
    scoring,
    seconds,
    sent,
    traffic,
    updating,
    writing,
    writing_seconds,
)

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "scaling.py"
# Layers of 100 and embedding and head of 2 * 10 * 2: 240 parameters.
TOY = Shape(240, layers=2, width=10, vocabulary=2, keys=5)
PLAN = Plan(batch=16, prompt=3, response=5, epochs=2, mini_batches=2, micro_batch_tokens=16,
            checkpointing=False, reward=50)
H100 = DEVICES["h100"]
SURE = Shares(matrix=1, bandwidth=1, link=1, hop=0, layer=0)


@pytest.mark.parametrize(("shape", "gate"), [
    *zip(SHAPES, (8192, 14_336, 28_672), strict=True)])
def test_shapes_are_those_of_llama(shape, gate):
    assert shape.gate == pytest.approx(gate, rel=1e-3)


def test_a_parameter_that_learns_takes_sixteen_bytes_over_the_processes_that_share_it():
    eight = SHAPES[1]
    inner, outer = 8.03e9 - 2 * 4096 * 128_256, 2 * 4096 * 128_256
    assert (eight.inner, eight.outer) == (inner, outer)
    for gpus, of in ((1, 1), (8, 8)):
        parts = updating(eight, Plan(), gpus, sharded=gpus > 1)
        assert parts["Weights"] + parts["AdamW"] == pytest.approx(12 * 8.03e9 / of)
        assert parts["Gradients"] == pytest.approx(4 * (inner / of + outer))
        assert parts["Start policy"] == pytest.approx(4 * 8.03e9 / of)
        assert parts["Embedding and head gathered"] == (4 * outer if gpus > 1 else 0)


def test_adapters_are_two_matrices_beside_each_matrix_and_hold_no_start_policy():
    gate = (100 - 200 - 100) / 30  # no model has that; the sum is what counts
    assert TOY.adapters(3) == pytest.approx(
        3 * 2 * (2 * (10 + 10) + 2 * (10 + 5) + 3 * (10 + gate)))
    plan = replace(PLAN, lora=3)
    assert learns(TOY, plan) == (TOY.adapters(3), 0)
    parts = held(TOY, plan, 1, sharded=False)
    assert parts == {"Weights": pytest.approx(4 * (240 + TOY.adapters(3))),
                     "AdamW": pytest.approx(8 * TOY.adapters(3)),
                     "Start policy": 0, "Reward model": 100}


def test_a_replicated_process_holds_all_and_a_sharded_one_its_part():
    assert held(TOY, PLAN, 4, sharded=False) == {
        "Weights": 960, "AdamW": 1920, "Start policy": 960, "Reward model": 100}
    assert held(TOY, PLAN, 4, sharded=True) == {
        "Weights": 4 * 60, "AdamW": 8 * 60, "Start policy": 4 * 60, "Reward model": 25}
    assert scoring(TOY, PLAN, 4, sharded=True)["Reward model gathered"] == 100
    assert scoring(TOY, PLAN, 4, sharded=False)["Reward model gathered"] == 0


def test_before_weights_are_shared_out_each_process_has_all_that_is_loaded():
    assert beginning(TOY, PLAN, 4, sharded=False) == {
        "Weights": 960, "Start policy": 960, "Reward model": 100}
    assert beginning(TOY, PLAN, 4, sharded=True) == {
        "Weights": 240, "Start policy": 960, "Reward model": 100}
    for sharded in (False, True):
        assert sum(beginning(TOY, replace(PLAN, lora=3), 4, sharded).values()) == pytest.approx(
            4 * (240 + TOY.adapters(3)) + 100)
    assert of_node(TOY, 64) == 8 * 4 * 240
    assert of_node(TOY, 1) == 4 * 240


def test_checkpointing_keeps_an_input_a_layer_and_all_of_one():
    shape = replace(SHAPES[1], layers=32)
    token = 26 * 4096 + 8 * 1024 + 8 * shape.gate
    plan = Plan(prompt=256, response=256, micro_batch_tokens=1100)  # two rows of 512
    assert activations(shape, replace(plan, checkpointing=False)) == pytest.approx(
        1024 * 32 * token)
    assert activations(shape, plan) == pytest.approx(1024 * (token + 32 * 4 * 4096))


def test_autocast_keeps_what_learns_in_bfloat16():
    assert updating(TOY, PLAN, 4, sharded=True)["Weights in bfloat16"] == 400
    lora = replace(PLAN, lora=3)
    assert updating(TOY, lora, 4, sharded=True)["Weights in bfloat16"] == 400
    lora = replace(lora, checkpointing=True)
    assert updating(TOY, lora, 4, sharded=True)["Weights in bfloat16"] == 200


def test_the_cache_is_of_the_rows_that_a_process_writes():
    parts = writing(TOY, PLAN, 4, H100, sharded=False)
    assert parts["KV cache"] == 4 * 8 * 2 * 2 * 5 * 2  # rows, tokens, layers, keys and values
    assert parts["Weights in bfloat16"] == 2 * (200 + 20)
    assert writing(TOY, replace(PLAN, algorithm="dpo"), 4, H100, sharded=False)["KV cache"] == (
        parts["KV cache"] * 3 / 4)  # the 12 that are compared


def test_a_ring_sends_all_but_its_own_part():
    assert sent(100, 4) == 300
    assert sent(100, 1) == 0


def test_bytes_of_a_cycle_are_those_of_its_steps_or_its_micro_batches():
    # Four steps of 8 rows, two at once: each of 2 processes has 2 micro-batches a step.
    assert traffic(TOY, PLAN, 2, H100, sharded=False) == {"Gradients summed": 4 * 2 * 480}
    assert traffic(TOY, PLAN, 2, H100, sharded=True) == {
        "Gathered to learn": 4 * 2 * 2 * 400 + 4 * 80,
        "Gradients scattered": 4 * 2 * 400 + 4 * 80,
        "Gathered to read": (4 + 1) * 400 + 2 * 80,
        "Gathered to write": 2 * (400 + 80)}
    full = replace(H100, memory=2000)  # twice the weights, 1920 bytes, is not free any more
    assert traffic(TOY, PLAN, 2, full, sharded=True)["Gathered to write"] == 2 * (5 * 400 + 80)


def test_links_are_those_of_a_node_or_between_nodes_and_a_ring_has_a_hop_less_than_processes():
    assert on_links(450e9, 0, 8, H100, SURE) == 1
    assert on_links(400e9, 0, 16, H100, SURE) == 1
    assert on_links(0, 2, 8, H100, replace(SURE, hop=1)) == 14
    assert on_links(1e9, 1, 1, H100, replace(SURE, hop=1)) == 0


def test_a_token_takes_as_long_as_reading_the_weights_and_the_cache():
    device = replace(H100, bandwidth=1e3, matrix=1e9)
    cache = 2 * (3 + 2.5) * 2 * 2 * 5 * 2
    prefill = 2 * 200 * 3 * 2 / 1e9
    assert writing_seconds(TOY, PLAN, 2, 1, device, SURE, sharded=False) == pytest.approx(
        prefill + 5 * (2 * 200 + 2 * 20 + cache) / 1e3)


def test_an_update_is_three_forward_passes_an_epoch_or_what_is_sent_if_that_is_more():
    device = replace(H100, matrix=1e6, inside=1e3)
    forward = 8 * (2 * 200 * 8 + 2 * 2 * 10 * 64 + 2 * 10 * 2 * 5)  # of 8 rows
    alone = seconds(TOY, PLAN, 2, replace(device, inside=1e30), SURE, sharded=False)
    assert alone["Update"] == pytest.approx(2 * 3 * forward / 1e6)
    assert alone["Score"] == pytest.approx((2 * 50 * 8 * 8 + forward) / 1e6)
    shared = seconds(TOY, PLAN, 2, device, SURE, sharded=True)
    assert shared["Update"] == pytest.approx((6720 + 3520) / 1e3)
    assert shared["Cycle"] == pytest.approx(
        sum(shared[part] for part in ("Write", "Score", "Update", "Compare")))


def test_weights_are_shared_out_only_where_they_do_not_fit_and_what_is_wrong_is_said():
    one, eight = SHAPES[0], SHAPES[1]
    assert not is_sharded(one, Plan(), 8, H100, "auto")
    assert is_sharded(eight, Plan(), 8, H100, "auto")
    assert not is_sharded(eight, Plan(), 1, H100, "shard")
    assert ends(one, Plan(), 8, H100, Shares(), sharded=False) == []
    said = " ".join(ends(SHAPES[2], Plan(batch=64), 512, H100, Shares(), sharded=True))
    assert "It does not fit" in said
    assert "448 processes have no row" in said
    assert "for every token" in said
    assert "2.3 TB of its own memory" in said


def test_the_script_says_what_it_found():
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--parameters", "8e9", "--gpus", "8", "--sharding", "shard",
         "--reward", "0"], capture_output=True, text=True, check=True)
    assert "8 billion parameters (32 layers, width 4096" in run.stdout
    assert "8 GPUs, sharded" in run.stdout
