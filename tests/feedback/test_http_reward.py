"""A reward that is asked over HTTP, of a real server on this machine."""

import pytest
import torch
from helpers.reward_server import serving

from workbench.feedback.http_reward import HTTPReward
from workbench.feedback.reward_server import KEY, check_url, is_loopback, url_name
from workbench.feedback.reward_text import RewardError
from workbench.models.control import Interrupted
from workbench.models.sources import LoadError
from workbench.records import Exchange

ROWS = [Exchange("Tea", " is hot.", "Tea is hot.", columns={"answer": "hot"}),
        Exchange("A cat", " sat", "A cat sat"), Exchange("Rain", "", "Rain")]


@pytest.fixture
def server():
    with serving() as found:
        yield found


def reward(server, **options):
    return HTTPReward(server.url, **{"retries": 2, "backoff": 0.0, **options})


def test_prompts_completions_and_columns_go_there_and_scores_come_back(server, unattended):
    scores = reward(server).score(ROWS, control=unattended)
    assert scores.dtype == torch.float32
    assert scores.tolist() == [8, 4, 0]
    assert server.asked == [{"prompts": ["Tea", "A cat", "Rain"],
                             "completions": [" is hot.", " sat", ""],
                             "answer": ["hot", None, None]}]


@pytest.mark.parametrize("answer", [
    {"scores": [1.5, None, -2]}, {"rewards": [1.5, None, -2]}, [1.5, None, -2]])
def test_every_form_of_scores_is_read(server, unattended, answer):
    server.answers = [(200, answer)]
    first, second, third = reward(server).score(ROWS, control=unattended).tolist()
    assert (first, third) == (1.5, -2)
    assert second != second  # it does not apply


def test_many_are_asked_in_several_requests(server, unattended):
    rows = [Exchange("p", "x" * (i % 7), "p" + "x" * (i % 7)) for i in range(600)]
    assert reward(server).score(rows, control=unattended).tolist() == [i % 7 for i in range(600)]
    assert [len(asked["prompts"]) for asked in server.asked] == [256, 256, 88]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_tried_again(server, unattended, status):
    server.answers = [(status, "busy"), (status, "busy")]
    assert reward(server).score(ROWS, control=unattended).tolist() == [8, 4, 0]
    assert len(server.asked) == 3


@pytest.mark.parametrize(("answer", "said"), [
    ((500, "no"), "answered 500 (Internal Server Error)"),
    ((404, "no"), "answered 404 (Not Found)"),
    ((302, ""), "sends on to http://elsewhere.invalid/, which you have not agreed to ask"),
    ((200, b"I would say 7 of 10"), "answered what is no JSON"),
    ((200, {"answer": 7}), "answered without a list of scores"),
    ((200, [1, 2]), "answered with 2 scores for 3 completions"),
    ((200, [1, 2, "good"]), "gave 'good', which is no number"),
    ((200, [1, 2, True]), "gave True, which is no number"),
    ((200, b"[1, 2, 1e99]"), "gave 1e+99, which is no finite number"),
    ((200, b"[1, 2, NaN]"), "gave nan, which is no finite number"),
])
def test_every_other_answer_is_a_sentence_and_no_score(server, unattended, answer, said):
    server.answers = [answer] * 3
    with pytest.raises(RewardError) as raised:
        reward(server).score(ROWS, control=unattended)
    name = f"127.0.0.1:{server.server_port}/score"
    assert str(raised.value) == f"{name} {said}; see to the server and resume the run."
    assert server.url in raised.value.details


def test_nobody_there_is_said(unattended):
    with serving() as gone:
        pass
    with pytest.raises(RewardError, match=r"cannot be reached \(Connection refused\)"):
        reward(gone).score(ROWS, control=unattended)
    with pytest.raises(LoadError, match=r"cannot be reached .* see to the server and load again"):
        reward(gone).try_out(lambda: None)


def test_one_that_does_not_answer_is_not_waited_for_without_end(server, unattended):
    server.answers = [None] * 3
    with pytest.raises(RewardError, match=r"did not answer within 0\.05 seconds"):
        reward(server, retries=0, timeout=(5, 0.05)).score(ROWS, control=unattended)


def test_it_can_be_left_while_it_is_asked(server):
    class Leaving:
        def step(self, *_):
            if server.asked:
                raise Interrupted

    server.answers = [None]
    with pytest.raises(Interrupted):
        reward(server).score(ROWS, control=Leaving())


def test_a_key_comes_from_the_environment(server, unattended, monkeypatch):
    reward(server).score(ROWS, control=unattended)
    monkeypatch.setenv(KEY, "secret")
    reward(server).score(ROWS, control=unattended)
    assert server.keys == [None, "Bearer secret"]


@pytest.mark.parametrize(("url", "said"), [
    ("http://", "names no server"),
    ("http://host:port/", "is no address of a server"),
    ("https://me:secret@host/score", "would be kept with the run"),
])
def test_what_is_no_address_is_said(url, said):
    with pytest.raises(LoadError, match=said) as raised:
        check_url(url)
    assert "secret" not in str(raised.value)


def test_names():
    assert url_name("http://host:80/score/") == "host:80/score"
    assert [is_loopback(url) for url in (
        "http://localhost:1/", "http://127.0.0.1/x", "http://[::1]:5/", "https://host/",
        "http://10.0.0.1/")] == [True, True, True, False, False]
