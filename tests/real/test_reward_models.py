"""A reward model reads exactly the text it should: against plain transformers on one row."""

import json
import shutil

import pytest
import torch
import transformers as tf
from helpers.classifiers import WORDS, alone, save_classifier, words
from helpers.folders import tokenizer

from workbench.feedback.classifier import Classifier
from workbench.feedback.loading import load_reward
from workbench.feedback.reward_text import RewardError
from workbench.models.control import Unattended
from workbench.models.device import Placement
from workbench.models.phases import Phase
from workbench.models.sources import LoadError
from workbench.records import Exchange

CPU = Placement(torch.device("cpu"), torch.float32)
PAD, BEGIN, END = (WORDS.index(mark) for mark in ("<pad>", "<s>", "</s>"))
TEXTS = ("the tea was hot and good.", "a", "a cat sat on the mat the rain is wet", "Hello world")
ROWS = [Exchange("", text, text) for text in TEXTS]
TALK = [Exchange("the tea was", " hot", "the tea was hot"), Exchange("a", " cat", "a cat"),
        Exchange("is the rain wet", " Hello world and good.",
                 "is the rain wet Hello world and good.")]
TURNS = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"


def load(folder, **how):
    return load_reward(str(folder), CPU, lambda *_: None, **how).reward


def scores(reward, exchanges=ROWS):
    return reward.score(exchanges, control=Unattended())


def ids(text):
    return [WORDS.index(word) if word in WORDS else 0 for word in text.split()]


def check(found, folder, rows):
    right = alone(folder, rows)
    assert right.std() > 0.1  # scores that tell texts apart
    torch.testing.assert_close(found, right, rtol=2e-4, atol=2e-4)


# -- padding


@pytest.mark.parametrize("marks", [
    {}, {"pad_token": "</s>"}, {"pad_token": "a"}, {"pad_token": "[PAD]"}],
    ids=["its own", "end", "a word", "beyond the embedding"])
@pytest.mark.parametrize("known", [None, PAD, END, -1])
def test_padding_never_decides_which_token_is_scored(tmp_path, marks, known):
    tokenizer = words("<s>", "</s>", **marks)
    folder = save_classifier(tmp_path / "r", "llama", tokenizer, pad_token_id=PAD)
    settings = json.loads((folder / "config.json").read_text()) | {"pad_token_id": known}
    (folder / "config.json").write_text(json.dumps(settings))
    reward = load(folder)
    check(scores(reward), folder, [tokenizer(text)["input_ids"] for text in TEXTS])
    assert reward.model.config.pad_token_id == known  # as it was


def test_a_word_that_is_the_padding_token_is_no_padding(tmp_path):
    known = words("<s>", pad_token="mat")
    folder = save_classifier(tmp_path / "r", "llama", known, pad_token_id=None)
    texts = ["on the mat", "mat mat mat", "mat", "a b mat"]
    check(scores(load(folder), [Exchange("", t, t) for t in texts]), folder,
          [known(text)["input_ids"] for text in texts])


# -- what begins and ends a text


@pytest.mark.parametrize("begins", ["", "<s> "], ids=["without", "with"])
def test_a_template_and_its_tokenizer_begin_and_end_a_text_once(tmp_path, begins):
    known = words("<s>", "</s>")
    known.chat_template = begins + TURNS + ("</s>" if begins else "")
    folder = save_classifier(tmp_path / "r", "llama", known)
    check(scores(load(folder), TALK), folder, [
        [BEGIN, *ids(f"user {e.prompt} assistant {e.completion}"), END] for e in TALK])


def test_a_begin_token_that_was_typed_is_not_doubled(tmp_path):
    folder = save_classifier(tmp_path / "r", "llama", words("<s>"))
    reward = load(folder)
    typed = [Exchange("", f"<s> {text}", f"<s> {text}") for text in TEXTS]
    torch.testing.assert_close(scores(reward, typed), scores(reward))


def test_an_end_token_can_be_appended_as_the_trainer_did(tmp_path):
    folder = save_classifier(tmp_path / "r", "llama", words("<s>"))
    check(scores(load(folder, end_token=True)), folder, [[BEGIN, *ids(t), END] for t in TEXTS])
    check(scores(load(folder)), folder, [[BEGIN, *ids(t)] for t in TEXTS])
    ended = save_classifier(tmp_path / "e", "llama", words("<s>", "</s>"))
    check(scores(load(ended, end_token=True)), ended, [[BEGIN, *ids(t), END] for t in TEXTS])
    endless = save_classifier(tmp_path / "n", "llama", words("<s>", eos_token=None))
    with pytest.raises(LoadError, match="has no end-of-sequence token to end texts with"):
        load(endless, end_token=True)


@pytest.mark.parametrize("name", ["bart", "t5"])
@pytest.mark.parametrize("end", ["</s>", ""], ids=["ended", "not ended"])
def test_end_tokens_in_texts_end_no_run(tmp_path, name, end):
    folder = save_classifier(tmp_path / "r", name, words(end=end))
    texts = ["the tea", "the </s> cat", "</s> </s> a </s> b", "", "Hello world"]
    found = scores(load(folder), [Exchange("", t, t) for t in texts])
    torch.testing.assert_close(
        found, alone(folder, [[*ids(text), END] for text in texts]), rtol=2e-4, atol=2e-5)


# -- segments, chats and outputs


@pytest.mark.parametrize("typed", [["token_type_ids"], []], ids=["typed", "not typed"])
def test_prompt_and_completion_can_be_two_segments(tmp_path, typed):
    known = words("<s>", "</s>", model_input_names=["input_ids", *typed, "attention_mask"])
    folder = save_classifier(tmp_path / "r", "bert", known)
    model = tf.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        right = torch.stack([model(**known(
            e.prompt, e.completion.strip(), return_tensors="pt")).logits[0, 0] for e in TALK])
    torch.testing.assert_close(
        scores(load(folder, reads="segments"), TALK), right, rtol=2e-4, atol=2e-4)
    assert (scores(load(folder), TALK) - right).abs().max() > 0.05


def test_a_text_can_be_read_without_the_template(tmp_path):
    known = words("<s>")
    known.chat_template = TURNS
    folder = save_classifier(tmp_path / "r", "llama", known)
    check(scores(load(folder, reads="text"), TALK), folder,
          [[BEGIN, *ids(e.joined)] for e in TALK])
    plain = save_classifier(tmp_path / "p", "llama", words("<s>"))
    with pytest.raises(LoadError, match="has no chat template; let it read text"):
        load(plain, reads="chat")


# -- limits


@pytest.mark.parametrize(("name", "limit", "more"), [
    ("bert", 64, {}), ("roberta", 62, {}), ("opt", 64, {}), ("gpt2", 64, {}), ("llama", 64, {}),
    ("longformer", 62, {}), ("mpt", 64, {"max_seq_len": 64}), ("bloom", None, {})])
def test_limits_are_tried(tmp_path, name, limit, more):
    folder = save_classifier(tmp_path / "r", name, words(), **more)
    reward = load(folder)
    assert reward.max_length == limit
    rows = [ids(" ".join(["tea"] * n)) for n in (60, 61, 62, 63, 64, 70)]
    texts = [" ".join(["tea"] * len(row)) for row in rows]
    found = reward.score([Exchange("", t, t) for t in texts], control=Unattended())
    torch.testing.assert_close(
        found, alone(folder, [row[-limit:] if limit else row for row in rows]),
        rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", ["t5", "umt5"])
def test_a_table_of_distances_is_no_limit(tmp_path, name):
    """T5 looks distances up in a table of 32 entries, far ones together."""
    folder = save_classifier(tmp_path / "r", name, initializer_factor=1.0)
    texts = [" ".join(WORDS[4 + (i * n) % 17] for i in range(n)) for n in (3, 31, 33, 60)]
    found = load(folder).score([Exchange("", t, t) for t in texts], control=Unattended())
    check(found, folder, [[*ids(text), END] for text in texts])


@pytest.mark.parametrize("told", [True, False], ids=["by its table", "by reading"])
def test_a_limit_that_the_configuration_has_wrong_is_found(tmp_path, monkeypatch, told):
    reward = load(save_classifier(tmp_path / "r", "ctrl", words()))
    reward.model.config.n_positions = 100
    if not told:
        monkeypatch.setattr(Classifier, "_find_table", lambda *_: None)
    reward.try_out("it")
    assert reward.max_length == 64


def test_of_a_long_text_the_end_is_kept_and_what_was_cut_is_counted(tmp_path):
    folder = save_classifier(tmp_path / "r", "bert", words("<s>", "</s>"))
    prompt = " ".join(["the tea was hot and"] * 14)  # 70 words
    exchanges = [Exchange(prompt, f" {end}", f"{prompt} {end}") for end in ("good.", "a cat sat")]
    exchanges.append(Exchange("a", " b", "a b"))
    found, cut = load(folder).judge(exchanges, control=Unattended())
    assert cut.tolist() == [9, 11, 0]  # of 71 and 73 words and two marks, 64 are read
    check(found, folder, [
        [BEGIN, *ids(e.joined)[-62:], END] for e in exchanges])
    pairs, cut = load(folder, reads="segments").judge(exchanges, control=Unattended())
    assert cut.tolist() == [10, 12, 0]
    assert pairs[0] != pairs[1]


def test_the_number_cut_is_kept_with_a_completion(tmp_path):
    from helpers.models import make_ppo

    from workbench.ppo.hyperparameters import parse

    folder = save_reward_of_letters(tmp_path / "r")
    ppo = make_ppo()
    ppo.reward = load(folder)
    hp = parse({"num_cycles": 1, "batch_size": 4, "response_length": 6, "comparison_prompts": 2})
    ppo.begin(["x" * 30, "y"], hp)
    result = ppo.run_cycle(1, hp, [0, 1], Unattended())
    assert [w.cut for w in result.comparison] == [30 + len(result.comparison[0].text) - 24, 0]
    assert result.metrics["objective/cut"] == sum(w.cut for w in result.rollout) / 4 > 0


def save_reward_of_letters(folder):
    torch.manual_seed(0)
    known = tokenizer("[PAD]", pad_token="[PAD]")
    tf.BertForSequenceClassification(tf.BertConfig(
        vocab_size=len(known), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=24, num_labels=1, pad_token_id=0,
        initializer_range=0.5)).save_pretrained(folder)
    known.save_pretrained(folder)
    return folder


# -- what cannot be read


def test_a_token_without_an_embedding_is_text_where_it_is_typed(tmp_path):
    known = tokenizer(pad_token="[PAD]")
    folder = tmp_path / "r"
    torch.manual_seed(0)
    tf.LlamaForSequenceClassification(tf.LlamaConfig(
        vocab_size=257, hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1, pad_token_id=None, initializer_range=0.5)
    ).save_pretrained(folder)
    known.save_pretrained(folder)
    assert known.convert_tokens_to_ids("[PAD]") == 257
    text = "the [PAD] tea"
    row = known(text, split_special_tokens=True)["input_ids"]
    check(scores(load(folder), [Exchange("", t, t) for t in (text, "a longer text")]), folder,
          [row, known("a longer text")["input_ids"]])


def test_a_text_that_cannot_be_read_is_named(tmp_path):
    known = words("<s>")
    known.chat_template = (
        "{% if 'rain' in messages[0]['content'] %}{{ raise_exception('No rain.') }}{% endif %}"
        + TURNS)
    reward = load(save_classifier(tmp_path / "r", "llama", known))
    with pytest.raises(RewardError) as caught:
        scores(reward, TALK)
    assert str(caught.value) == (
        "The reward model cannot read completion 3 (No rain); change or switch off its prompt, or "
        "choose another reward.")
    assert "is the rain wet" in caught.value.details


def test_a_model_that_gives_no_finite_score_or_reads_by_chance_is_refused(tmp_path):
    folder = save_classifier(tmp_path / "r", "bert", words())
    reward = load(folder)
    with torch.no_grad():
        reward.model.classifier.bias.fill_(torch.inf)
    with pytest.raises(LoadError, match="a score that is no finite number"):
        reward.try_out("it")
    other = load(shutil.copytree(folder, tmp_path / "c"))
    other.model.dropout.p, other.model.dropout.training = 0.5, True
    with pytest.raises(LoadError, match="gives the same text another score each time"):
        other.try_out("it")


def test_scoring_can_be_stopped(tmp_path):
    reward = load(save_classifier(tmp_path / "r", "fnet", words()))
    seen = []

    class Watching(Unattended):
        def step(self, phase, done, total):
            seen.append((phase, done, total))

    reward.score(ROWS, control=Watching())
    assert seen == [(Phase.SCORING, n, 4) for n in range(4)]  # no mask: each length for itself
