"""Scoring rows of several lengths together with a sequence classifier, each as if it were alone.

A causal classifier reads its score from the last token that is no padding, by comparing ids with
its configuration's padding token; others average over all tokens, count end tokens, or know no
mask. What an architecture makes of padding is found by trying, when it is loaded.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.feedback.reward_text import Reader, RewardError, Row
from workbench.models.capabilities import Batching
from workbench.models.chat_template import reason
from workbench.models.rotary import longest_alike
from workbench.models.sources import LoadError
from workbench.records import Exchange

_BATCH_TOKENS = 8192
_LIMITS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length",
           "max_seq_length", "n_ctx")
_WINDOWS = ("sliding_window", "local_attention", "attention_window", "window_size", "block_size")
_WIDEST = 256
"""Windows wider than this are not gone past when a model is tried: it would take long."""
_LONGEST_TRIED, _WORK_TRIED = 1024, 6e10
"""Tokens, and weights times tokens, of the longest text that a model is tried on."""
_PROBES = (
    Exchange("The tea", " was hot and good.", "The tea was hot and good."),
    Exchange("a", " b", "a b"),
    Exchange("Tell me about cats, please:", " they sit on mats, in the rain, and sleep.",
             "Tell me about cats, please: they sit on mats, in the rain, and sleep."),
    Exchange("Hello", " world", "Hello world"))


def rows_at_once(length: int) -> int:
    """Return how many texts of ``length`` tokens a reward model reads at once."""
    return max(1, _BATCH_TOKENS // max(1, length))


class Classifier:
    """A sequence classifier that gives a row of tokens the score it would give it alone."""

    def __init__(self, model: Any, label: int, device: torch.device) -> None:
        """Wrap ``model``, which is on ``device``; ``label`` is the output that is the score."""
        self.model, self.label, self.device = model, label, device
        self.batching = Batching.PADDED
        config = model.config
        self._configs = {id(c): c for c in (config, config.get_text_config())}.values()
        self._padding = getattr(config.get_text_config(), "pad_token_id", None)
        self._takes = inspect.signature(model.forward).parameters
        # Encoder-decoders look for end tokens, and want as many in every row.
        self._end = config.eos_token_id if getattr(config, "is_encoder_decoder", False) else None
        self._alike_up_to = longest_alike(config.get_text_config()) or float("inf")
        self.rows = embedding_rows(model)

    def score(self, rows: Sequence[Row], step: Callable[[int], object]) -> Tensor:
        """Return the score of every row, (n,) float32, on the CPU.

        Args:
            step: called between batches with the number of rows done; may raise to stop.

        Raises:
            RewardError: the model fails on a text.
        """
        scores = torch.zeros(len(rows))
        done = 0
        for batch in self._batches(rows):
            step(done)
            scores[batch] = self._score([rows[i] for i in batch])
            done += len(batch)
        return scores

    def _score(self, rows: list[Row]) -> Tensor:
        try:
            return self.run(rows)
        except (IndexError, ValueError, TypeError, RuntimeError) as error:
            if isinstance(error, torch.OutOfMemoryError) or (
                isinstance(error, RuntimeError) and "size" not in str(error)
            ):
                raise  # memory that ran out, or the device
            longest = max(len(row.ids) for row in rows)
            raise RewardError(
                f"The reward model failed on texts of up to {longest:,} tokens "
                f"({reason(error, 160)}); use shorter prompts and responses, or another reward.",
                reason(error, 160)) from error

    def _batches(self, rows: Sequence[Row]) -> Iterator[list[int]]:
        """Yield the numbers of the rows to be read together, long ones first."""
        def group(i: int) -> tuple[int, ...]:
            length = len(rows[i].ids)
            ends = rows[i].ids.count(self._end) if self._end is not None else 0
            long = length > self._alike_up_to
            return (ends, long, length) if self.batching is not Batching.PADDED else (ends, long)

        batch: list[int] = []
        for i in sorted(range(len(rows)), key=lambda i: (group(i), -len(rows[i].ids))):
            room = 1 if self.batching is Batching.SINGLE or not batch else rows_at_once(
                len(rows[batch[0]].ids))
            if batch and (group(i) != group(batch[0]) or len(batch) >= room):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    @torch.no_grad()
    def run(self, rows: Sequence[Row]) -> Tensor:
        """Return the scores of rows that are read together, (n,) float32, on the CPU."""
        return self.logits(rows).cpu()

    def logits(self, rows: Sequence[Row]) -> Tensor:
        """Return the same on the model's device, with their gradient."""
        padding = self._find_padding(rows)
        longest = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), longest), padding)
        mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row.ids)] = torch.tensor(row.ids)
            mask[i, : len(row.ids)] = 1
            if row.types is not None:
                types[i, : len(row.ids)] = torch.tensor(row.types)
        given: dict[str, Any] = {"input_ids": ids.to(self.device)}
        if "attention_mask" in self._takes:
            given["attention_mask"] = mask.to(self.device)
        if "use_cache" in self._takes:
            given["use_cache"] = False
        if types.any() and self._knows_types(int(types.max())):
            given["token_type_ids"] = types.to(self.device)
        with self._padded_by(padding if len(rows) > 1 else self._padding):
            logits = self.model(**given).logits
        if logits.shape[:-1] != (len(rows),):
            raise ValueError(f"it gives {tuple(logits.shape)} numbers for {len(rows)} texts")
        return logits[:, self.label].float()

    def _find_padding(self, rows: Sequence[Row]) -> int:
        """Return the model's own padding token, or where its weights have none a token that no row
        ends with, so that the last one that is none is the row's last."""
        rows_of_weights = self.rows or len(rows) + 1
        if self._padding is not None and 0 <= self._padding < rows_of_weights:
            return self._padding
        last = {row.ids[-1] for row in rows}
        return next((i for i in range(rows_of_weights) if i not in last), 0)

    @contextlib.contextmanager
    def _padded_by(self, token: int | None) -> Iterator[None]:
        """Let the configuration name ``token`` as padding."""
        before = [getattr(config, "pad_token_id", None) for config in self._configs]
        try:
            for config in self._configs:
                config.pad_token_id = token
            yield
        finally:
            for config, known in zip(self._configs, before, strict=True):
                config.pad_token_id = known

    def _knows_types(self, highest: int) -> bool:
        known = getattr(self.model.config.get_text_config(), "type_vocab_size", None)
        return "token_type_ids" in self._takes and (known is None or known > highest)

    # -- trying, when it is loaded

    def try_out(self, reader: Reader, source: str) -> None:
        """Find how many tokens the model reads, which rows it may read together, and whether it
        needs an end token; ``reader`` is told.

        Raises:
            LoadError: it cannot score text alone, or not the same text twice alike.
        """
        reader.rows = self.rows
        said = self._said_limit(reader)
        reader.limit = said and max(3, said // 2)  # well below what may be wrong
        rows = self._read_alone(reader, source)
        reader.limit = self._find_limit(rows[0], reader)
        rows = [row.stretched(min(len(row.ids), reader.limit or len(row.ids))) for row in rows]
        if window := self._find_window():
            rows.append(rows[0].stretched(min(window + 5, reader.limit or window + 5)))
        alone = torch.cat([self.run([row]) for row in rows])
        if not bool(alone.isfinite().all()):
            raise LoadError(
                f"The reward model {source} gives a plain text a score that is no finite number; "
                "its weights are damaged, or need another precision.")
        if not self._alike(torch.cat([self.run([row]) for row in rows]), alone):
            raise LoadError(
                f"The reward model {source} gives the same text another score each time "
                f"({type(self.model).__name__} reads by chance); choose another.")
        kinds = (Batching.PADDED, Batching.EQUAL)[0 if "attention_mask" in self._takes else 1:]
        for self.batching in kinds:
            # In the one order as in the other: a row of each length beside one of its own.
            twice, again = [*rows, *rows[::-1]], torch.cat([alone, alone.flip(0)])
            try:
                if self._alike(self.score(twice, lambda _: None), again):
                    return
            except RewardError:
                continue
        self.batching = Batching.SINGLE

    def _read_alone(self, reader: Reader, source: str) -> list[Row]:
        """Return what is read of some texts that the model can score."""
        def read() -> list[Row]:
            rows = reader.read(_PROBES)
            for row in rows:
                self.run([row])
            return rows

        try:
            try:
                return read()
            except Exception:
                if self._end is None:
                    raise
                reader.end_id = self._end
                return read()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise LoadError(
                f"The reward model {source} ({type(self.model).__name__}) cannot score a plain "
                f"text ({reason(error, 160)}); choose a classifier that reads text alone."
            ) from error

    def _alike(self, scores: Tensor, right: Tensor) -> bool:
        dtype = next(self.model.parameters()).dtype
        tolerance = max(2e-4, 16 * torch.finfo(dtype).eps) * max(1.0, right.abs().max().item())
        return bool(((scores - right).abs() <= tolerance).all())

    def _find_window(self) -> int:
        config = self.model.config.get_text_config()
        found = [getattr(config, name, None) for name in _WINDOWS]
        widths = [width for each in found for width in (each if isinstance(each, list) else [each])
                  if isinstance(width, int) and 0 < width <= _WIDEST]
        return max(widths, default=0)

    def _find_limit(self, row: Row, reader: Reader) -> int | None:
        """Return how many tokens a text may have: by the table of positions where there is one,
        else as the configuration says; no more than the tokenizer says."""
        limit = self._said_limit(reader, self._find_table(row))
        size = sum(p.numel() for p in self.model.parameters())
        if limit is None or self.device.type != "cpu" or limit > _LONGEST_TRIED or (
            size * limit > _WORK_TRIED
        ):
            return limit
        return self._longest(row, limit)

    def _said_limit(self, reader: Reader, table: int | None = None) -> int | None:
        config = self.model.config.get_text_config()
        said = [getattr(config, name, None) for name in _LIMITS] if table is None else [table]
        # Some tokenizers report an astronomically large limit for "none".
        limits = [n for n in (*said, reader.tokenizer.model_max_length)
                  if isinstance(n, int) and 0 < n < 10**9]
        return min(limits, default=None)

    def _longest(self, row: Row, limit: int) -> int:
        """Return the largest length up to ``limit`` that the model reads without failing."""
        def reads(length: int) -> bool:
            try:
                self.run([row.stretched(length)])
            except (IndexError, ValueError, RuntimeError, AssertionError):
                return False
            return True

        if limit <= len(row.ids) or reads(limit):
            return limit
        good, bad = len(row.ids), limit
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if reads(middle) else (good, middle)
        return good

    def _find_table(self, row: Row) -> int | None:
        """Return the length at which a table that is looked up by position ends; None where there
        is none."""
        more = 3
        with _Lookups() as short:
            self.run([row])
        with _Lookups() as long:
            self.run([row.stretched(len(row.ids) + more)])
        if len(short.seen) != len(long.seen):
            return None
        ends = {(len(row.ids) + size - 1 - highest, place)
                for place, ((size, highest), there) in enumerate(
                    zip(short.seen, long.seen, strict=True))
                if there == (size, highest + more)}
        return next((end for end, place in sorted(ends) if self._ends(row, end, place)), None)

    def _ends(self, row: Row, length: int, place: int) -> bool:
        """Whether a text of so many tokens looks up the last entry of the table that is looked up
        at this place. That of T5's distances only seems to end there: far ones share an entry."""
        if length > _WIDEST:
            return True
        try:
            with _Lookups() as last:
                self.run([row.stretched(length)])
        except (IndexError, ValueError, RuntimeError, AssertionError):
            return True  # it ends before that
        size, highest = last.seen[place] if place < len(last.seen) else (1, 0)
        return highest == size - 1


class _Lookups(TorchDispatchMode):
    """Notes the size of every table that is looked up while it is on, and the highest number."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket
        if name is torch.ops.aten.embedding:
            self._note(args[0].shape[0], args[1])
        elif name in (torch.ops.aten.gather, torch.ops.aten.index_select):
            self._note(args[0].shape[args[1]], args[2])
        elif name is torch.ops.aten.index:
            for dimension, index in enumerate(args[1]):
                if index is not None and index.dtype in (torch.long, torch.int):
                    self._note(args[0].shape[dimension], index)
        return func(*args, **(kwargs or {}))

    def _note(self, size: int, indices: Tensor) -> None:
        if indices.numel():
            self.seen.append((size, int(indices.max())))


def head_name(model: Any) -> str | None:
    """Return the name of the layer that makes the scores: the last one outside the trunk that gives
    as many numbers as the model; None where there is none."""
    inside = {id(module) for module in model.base_model.modules()}
    found = [name for name, module in model.named_modules() if id(module) not in inside
             and isinstance(module, nn.Linear) and module.out_features == model.config.num_labels]
    return found[-1] if found else None


def widen_head(model: Any) -> None:
    """Let the layer that makes the scores compute in float32. In bfloat16 a score near 1 is a
    multiple of 1/128, and completions that are not alike would have the same."""
    if name := head_name(model):
        model.get_submodule(name).float().register_forward_pre_hook(
            lambda _, states: tuple(each.float() for each in states))


def embedding_rows(model: Any) -> int | None:
    """Return how many token ids a model's embedding has; None where it has no such table."""
    try:
        weight = model.get_input_embeddings().weight
    except (AttributeError, NotImplementedError):
        return None
    return weight.shape[0] if isinstance(weight, Tensor) and weight.ndim == 2 else None
