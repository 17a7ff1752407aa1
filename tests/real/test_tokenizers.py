"""A folder's tokenizer is the one in its files, and belongs to its weights."""

import json

import pytest
import transformers as tf
from helpers.folders import save_llama, tokenizer, words
from helpers.models import CPU
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from workbench.feedback.loading import load_reward
from workbench.models import tokenizer_files
from workbench.models.loading import load_policy
from workbench.models.policy_tokenizer import PromptError
from workbench.models.sources import LoadError


def quiet(*_):
    pass


@pytest.mark.parametrize("kind", [
    tf.Qwen2ForCausalLM, tf.LlamaForCausalLM, tf.MistralForCausalLM, tf.Gemma2ForCausalLM,
    tf.Phi3ForCausalLM, tf.GPT2LMHeadModel])
def test_a_folder_with_a_tokenizer_of_its_own_is_read_by_it(kind, tmp_path):
    """transformers puts Qwen2's rules over any tokenizer.json of a qwen2 folder."""
    more = {"head_dim": 8} if kind is tf.Gemma2ForCausalLM else {}
    folder = save_llama(tmp_path, words(), kind=kind, **more)
    policy_tokenizer = load_policy(str(folder), CPU, quiet).policy_tokenizer
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert policy_tokenizer.encode(["the tea was hot"], 4) == [own.encode("the tea was hot").ids]
    assert policy_tokenizer.tokenizer.decode([4, 5, 6, 7]) == "the tea was hot"
    assert policy_tokenizer.eos_ids == (3,)


def test_a_reward_model_too(tmp_path):
    folder = save_llama(tmp_path, words(pad_token="<pad>"),
                        kind=tf.Qwen2ForSequenceClassification, num_labels=1)
    reward = load_reward(str(folder), CPU, quiet).reward
    assert reward.tokenizer("the tea was hot")["input_ids"] == [4, 5, 6, 7]


def test_added_tokens_named_in_other_files_alone_are_no_contradiction(tmp_path):
    known = words()
    folder = save_llama(tmp_path, known, vocab_size=len(known) + 1)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["added_tokens_decoder"] = {str(len(known)): {"content": "<extra>", "special": False}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    policy_tokenizer = load_policy(str(folder), CPU, quiet).policy_tokenizer
    assert policy_tokenizer.encode(["the <extra> tea"], 4) == [[4, len(known), 5]]


def test_an_added_token_without_weights_is_named_when_a_prompt_holds_it(tmp_path):
    known = words()
    rows = len(known)
    known.add_tokens(["<extra>"])
    policy_tokenizer = load_policy(
        str(save_llama(tmp_path, known, vocab_size=rows)), CPU, quiet
    ).policy_tokenizer
    assert policy_tokenizer.encode(["the tea"], 4) == [[4, 5]]
    with pytest.raises(PromptError, match=r"Prompt 2 \(“was <extra> good”\) needs the token "
                       r"<extra> \(id 20\), for which the policy's weights have no row"):
        policy_tokenizer.encode(["the tea", "was <extra> good"], 4)


def test_a_vocabulary_that_cannot_write_every_text(tmp_path):
    """Neither transformers' class for the kind, nor a prompt, need find a way in it."""
    known = words(specials=("<s>", "</s>"), unk_token=None, bos_token="<s>")
    known.backend_tokenizer.model.unk_token = "<no unk>"
    known.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)])
    folder = save_llama(tmp_path, known, kind=tf.GemmaForCausalLM, head_dim=8)
    policy_tokenizer = load_policy(str(folder), CPU, quiet).policy_tokenizer
    assert policy_tokenizer.encode(["the tea"], 4) == [[0, 2, 3]]
    with pytest.raises(PromptError, match=r"^The policy's tokenizer cannot read prompt 2 "
                       r"\(“the Käse”\): .*; change or switch off the prompt.$"):
        policy_tokenizer.encode(["the tea", "the Käse", "tea"], 4)


def test_another_models_tokenizer_is_refused(tmp_path):
    folder = save_llama(tmp_path / "p", words("more", "words"), vocab_size=20)
    with pytest.raises(LoadError, match=r"has 22 token ids, and the weights know 20 .there is none "
                       r"for more, say.; put the model's own tokenizer files"):
        load_policy(str(folder), CPU, quiet)


def test_a_padded_vocabulary_is_said_where_it_matters(tmp_path):
    known = words()
    padded = load_policy(str(save_llama(tmp_path / "a", known, vocab_size=84)), CPU, quiet)
    assert padded.notes == (
        "64 of the 84 token ids that the policy can write have no text in its tokenizer; they are "
        "shown by their number.",)
    slightly = tokenizer()
    folder = save_llama(tmp_path / "b", slightly, vocab_size=len(slightly) + 8)
    assert load_policy(str(folder), CPU, quiet).notes == ()


@pytest.mark.parametrize("ids", [[5, 7], [5, 4000], [], None, ["x"]])
def test_every_token_that_ends_a_text_and_has_weights_does(ids, tmp_path):
    folder = save_llama(tmp_path, words())
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    expected = {i for i in ids or [] if i != "x" and i < 20} | {3}
    assert load_policy(str(folder), CPU, quiet).policy_tokenizer.eos_ids == tuple(sorted(expected))


def test_a_sentencepiece_model_alone_names_the_packages_that_read_it(
    tmp_path, monkeypatch
):
    folder = save_llama(tmp_path / "p", words())
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")
    settings = {"tokenizer_class": "LlamaTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    monkeypatch.setattr(tokenizer_files, "find_spec", lambda _: None)
    with pytest.raises(LoadError, match=r"as tokenizer\.model alone, which needs .* sentencepiece"):
        load_policy(str(folder), CPU, quiet)


@pytest.mark.parametrize("kind", [
    tf.GPTNeoXForCausalLM, tf.LlamaForCausalLM, tf.GemmaForCausalLM, tf.Qwen2ForCausalLM])
@pytest.mark.parametrize("begins", [True, False])
def test_what_a_tokenizers_file_puts_before_a_text_stands_there(tmp_path, kind, begins):
    """Some of transformers' classes leave it out, or ask for tokens that a file does not have."""
    characters = tokenizer(bos_token="<s>")
    if begins:
        characters.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", characters.bos_token_id)])
    more = {"head_dim": 8} if kind is tf.GemmaForCausalLM else {}
    folder = save_llama(tmp_path / "p", characters, kind=kind, **more)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in settings.items() if k != "tokenizer_class"}))
    [ids] = load_policy(str(folder), CPU, quiet).policy_tokenizer.encode(["tea"], 4)
    assert ids == Tokenizer.from_file(str(folder / "tokenizer.json")).encode("tea").ids
    assert (ids[0] == characters.bos_token_id) == begins
