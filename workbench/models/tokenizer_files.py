"""Reading a tokenizer from a model's folder, and holding it against the folder's own files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerFast

from workbench.models.sources import LoadError

_FILES = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
_PROBES = (
    "the tea was hot", "Hello, World! It's 1,234.5 km to Käse-Stadt; isn't it?",
    "\tif x >= 10:\n\n    return {'a': [1, 2]}  # done\r\n", "  two  spaces ", "東京 🙂 Привет",
)
_SAMPLED = 64
"""How many entries of the vocabulary are read and written, spread over all of it."""


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer's files."""
    return any(any(folder.glob(pattern)) for pattern in _FILES)


def read_tokenizer(folder: Path, source: str, model: Path | None = None) -> Any:
    """Return the tokenizer of a folder: what its tokenizer.json says, where it has one.

    Args:
        model: the folder of the model that it belongs to, where that is another.

    transformers chooses a class by the model's type, and some of these bring rules of their own
    in place of those in the file: a Qwen2 folder with a tokenizer of its own would read every text
    wrongly.

    Raises:
        LoadError: it cannot be read, or says something else than its file.
    """
    sentence = (
        f"The tokenizer of {source} cannot be read; its folder needs the tokenizer's files "
        "(tokenizer.json) beside the weights.")
    # Without any, transformers would make up an empty tokenizer.
    if not has_tokenizer(folder):
        raise LoadError(sentence)
    # Whatever a file holds, the person needs to know which one it is.
    try:
        config = AutoConfig.from_pretrained(model or folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(
            folder, config=config, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        pieces = next(iter(sorted(folder.glob("*.model"))), None)
        if pieces and not (folder / "tokenizer.json").is_file() and not find_spec("sentencepiece"):
            raise LoadError(
                f"The tokenizer of {source} is there as {pieces.name} alone, which needs the "
                "Python packages sentencepiece and protobuf; install them (pip install "
                "sentencepiece protobuf) and load again, or put its tokenizer.json into the folder."
            ) from error
        if (folder / "tokenizer.json").is_file():
            said = " ".join(str(error).split()).rstrip(".")[:160] or type(error).__name__
            raise LoadError(
                f"The tokenizer of {source} cannot be read ({said}); save or download its files "
                "(tokenizer.json, tokenizer_config.json) again.") from error
        raise LoadError(sentence) from error
    file = folder / "tokenizer.json"
    if not file.is_file() or not tokenizer.is_fast:
        return tokenizer
    try:
        own = Tokenizer.from_file(str(file))
    except Exception as error:
        raise LoadError(sentence) from error
    probes = _probes(own)
    # Those that are named in other files only.
    own.add_tokens([token for _, token in sorted(tokenizer.added_tokens_decoder.items())
                    if own.token_to_id(token.content) is None])
    framed = not _says_frame(folder)
    if _agree(tokenizer, own, probes, framed):
        return tokenizer
    plain = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if not _agree(plain, own, probes, framed):
        raise LoadError(
            f"The tokenizer of {source} is read by the installed transformers "
            f"({type(tokenizer).__name__}) in another way than its tokenizer.json says; choose "
            "a model whose tokenizer files belong together.")
    return plain


def check_rows(tokenizer: Any, rows: int, source: str) -> str:
    """Hold a vocabulary against the ``rows`` of the embedding it is to be looked up in.

    Returns:
        a sentence on ids without text, or nothing.

    Raises:
        LoadError: the vocabulary is another model's.
    """
    known = tokenizer.get_vocab()
    added = {str(token) for token in getattr(tokenizer, "added_tokens_decoder", {}).values()}
    beyond = [token for token, i in known.items() if i >= rows and token not in added]
    if beyond:
        raise LoadError(
            f"The tokenizer of {source} does not belong to its weights: it has "
            f"{max(known.values()) + 1:,} token ids, and the weights know {rows:,} (there is none "
            f"for {min(beyond, key=known.__getitem__)}, say); put the model's own tokenizer files "
            "into its folder.")
    without = rows - len({i for i in known.values() if i < rows})
    # Most vocabularies are padded to a round number of ids, which a trained policy never writes.
    if without <= rows / 20:
        return ""
    return (f"{without:,} of the {rows:,} token ids that the policy can write have no text in its "
            "tokenizer; they are shown by their number.")


def _probes(own: Tokenizer) -> Sequence[str]:
    vocabulary = sorted(own.get_vocab(with_added_tokens=False).values())
    step = max(1, len(vocabulary) // _SAMPLED)
    words = [own.decode([i], skip_special_tokens=False) for i in vocabulary[::step]]
    return [*_PROBES, " ".join(words), "".join(words)]


def _says_frame(folder: Path) -> bool:
    """Whether tokenizer_config.json says what begins and ends a text, which then counts."""
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        return any(settings.get(name) is not None for name in ("add_bos_token", "add_eos_token"))
    except (OSError, ValueError, AttributeError):
        return False


def _agree(tokenizer: Any, own: Tokenizer, probes: Sequence[str], framed: bool) -> bool:
    """Whether both read texts as the same ids and write these as the same text; where ``framed``,
    with the same tokens around them."""
    found = tokenizer.backend_tokenizer
    for each in (found, own):  # which transformers sets anew for each text
        each.no_padding()
        each.no_truncation()
    if framed and _ids(found, _PROBES[0], framed) != _ids(own, _PROBES[0], framed):
        return False
    right = [_ids(own, probe) for probe in probes]
    return [_ids(found, probe) for probe in probes] == right and all(
        found.decode(row, skip_special_tokens=False) == own.decode(row, skip_special_tokens=False)
        for row in right if row is not None)


def _ids(tokenizer: Tokenizer, text: str, framed: bool = False) -> list[int] | None:
    """Return the ids of a text, ``framed`` by what begins and ends it; None where it cannot be
    written with the vocabulary."""
    try:
        return tokenizer.encode(text, add_special_tokens=framed).ids
    except Exception:  # which is all that tokenizers raises
        return None
