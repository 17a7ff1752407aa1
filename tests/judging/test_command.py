"""``ppo-workbench judge``, from the command line to the marks."""

import os
import signal
import subprocess
import sys

import pytest
from helpers.judges import chat, pairs, prefers_good, put_in
from helpers.reward_server import serving

from workbench.cli import main
from workbench.judging.server import KEY
from workbench.store.judged import PairToJudge, Side
from workbench.store.store import Store

AD = [PairToJudge(f"The tea {word}", Side(" was good."), Side(" was bad.")) for word in (
    "here", "there")]


@pytest.fixture
def server():
    with serving(prefers_good) as found:
        yield found


@pytest.fixture
def home_with_pairs(home):
    store = Store(home)
    put_in(store, pairs(3))
    store.close()
    return home


def command(home, *words):
    return ["--home", str(home), "judge", "Mine", *words]


def marks(home):
    store = Store(home)
    try:
        found = store.judgements.set("Mine")
        return [(m.by, m.choice) for m in store.judgements.marks(found.id)]
    finally:
        store.close()


def test_a_server_is_asked_once_it_is_agreed_to(home_with_pairs, server, capsys):
    url = server.url.removesuffix("/score")
    words = command(home_with_pairs, "--judge", f"{url}/v1", "--most", "2")
    assert main(words) == 2
    assert server.paths == []
    said = capsys.readouterr().err
    assert f"{url} is sent the rubric with the prompt and both completions of each pair" in said
    assert "4 requests now, each sent again up to 3 times where the server fails." in said
    assert "add --trust-judge-server" in said
    assert main([*words, "--trust-judge-server"]) == 0
    by = f"judge: tiny at 127.0.0.1:{server.server_port}"
    said = capsys.readouterr().out
    assert "4 of 4 questions answered." in said
    assert f"{by}: 2 pairs judged; 0" in said
    assert main(words) == 0  # agreed before; the rest is asked
    assert main(words) == 0
    assert len(server.asked) == 6
    assert marks(home_with_pairs) == [(by, "first")] * 3


def test_a_rubric_of_ones_own_and_a_model_by_name(home_with_pairs, server, tmp_path, capsys):
    rubric = tmp_path / "rubric.txt"
    rubric.write_text("The shorter one.\n")
    assert main(command(
        home_with_pairs, "--judge", server.url, "--model", "mine", "--trust-judge-server",
        "--rubric", str(rubric))) == 0
    assert {each["model"] for each in server.asked} == {"mine"}
    assert all("\nThe shorter one.\n" in each["messages"][0]["content"] for each in server.asked)
    assert f"judge: mine at 127.0.0.1:{server.server_port}: 3 pairs judged" in (
        capsys.readouterr().out)


def test_the_bundled_model_judges(home, capsys):
    store = Store(home)
    put_in(store, AD)
    store.close()
    assert main(command(home, "--judge", "bundled")) == 0
    assert [by for by, _ in marks(home)] == ["judge: bundled"] * 2
    assert "judge: bundled: 2 pairs judged" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [
    (["--judge", "bundled", "--most", "0"], "--most must be at least 1, not 0."),
    (["--judge", "bundled", "--model", "m"], "--model goes with the address of a server."),
    (["--judge", "policy"], "No policy is in memory here"),
    (["--judge", "http://me:secret@host"], "would be kept with the run"),
    (["--judge", "bundled", "--rubric", "nowhere.txt"], "The rubric nowhere.txt cannot be read"),
    (["--judge", "/nowhere/model"], "/nowhere/model"),
])
def test_what_cannot_be_done_is_said(home_with_pairs, capsys, words, said):
    assert main(command(home_with_pairs, *words)) == 2
    assert said in capsys.readouterr().err


def test_a_set_that_is_not_there_is_said(home_with_pairs, capsys):
    assert main(["--home", str(home_with_pairs), "judge", "Yours", "--judge", "bundled"]) == 2
    assert "There is no set “Yours”; there are: “Mine”." in capsys.readouterr().err


@pytest.mark.parametrize("ends", ["SIGKILL", "SIGINT"])
def test_ended_while_a_request_hangs_it_goes_on_and_asks_nothing_twice(
        home_with_pairs, server, ends):
    server.answers = [(200, chat("[[A]]")), (200, chat("[[B]]")), (200, chat("[[A]]")), None]
    words = [sys.executable, "-m", "workbench", *command(
        home_with_pairs, "--judge", server.url.removesuffix("/score"), "--trust-judge-server")]
    child = subprocess.Popen(words, env=os.environ | {KEY: "sesame-4711"},
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.hanging.wait(300), child.stderr.read()
        child.send_signal(getattr(signal, ends))
        out, err = child.communicate(timeout=300)
    finally:
        child.kill()
    if ends == "SIGINT":
        assert child.returncode == 130, err
        assert "What was answered is kept; the same command goes on." in err
        assert "3 of 6 questions answered." in out
    assert [choice for _, choice in marks(home_with_pairs)] == ["first"]
    assert main(words[3:]) == 0
    contents = [each["messages"][0]["content"] for each in server.asked]
    assert len(contents) == 7
    assert len({*contents}) == 6
    assert contents[3] == contents[4]  # which had no answer
    assert [choice for _, choice in marks(home_with_pairs)] == ["first"] * 3
    files = [path for path in home_with_pairs.rglob("*") if path.is_file()]
    assert files
    assert not any(b"sesame" in path.read_bytes() for path in files)
