"""Samples rollouts with a NemotronH model of transformers, in batches, on any device.

The model may be the one that trains: then rollouts always come from its current weights, and no copy can be stale.
Prompts are read with the scan of `nemotron_assets/model`; equal prompts of a batch are read once.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.rollouts.draws import Draws, choose
from nemotron_assets.table.ids import content_hash
from resources.endpoint import EngineError
from resources.generations import Answer, Request

if TYPE_CHECKING:
    import torch
    from transformers import NemotronHForCausalLM, PreTrainedTokenizerBase

    from nemotron_assets.chat.budget.tags import Tags


def load(folder: Path, device: str = "cpu", dtype: str = "float32") -> NemotronHForCausalLM:
    """The model of a folder, attached (see `model.nemotron_h`) and ready to sample."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    from nemotron_assets.model.nemotron_h import attach

    disable_progress_bar()  # its output would end up in log files
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), local_files_only=True)
    return attach(model).to(device).eval()


def weights_sha256(model: torch.nn.Module) -> str:
    """A sha256 over the names, types and values of a model's parameters: equal for equal weights only."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().contiguous().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _select(cache: Any, rows: torch.Tensor) -> None:
    """Keep these rows of a cache, in this order and as often as they are named. transformers (5.19) can do it only for
    the layers of attention."""
    for layer in cache.layers:
        if hasattr(layer, "recurrent_states"):
            for states in (layer.conv_states, layer.recurrent_states):
                states.update({number: state[rows] for number, state in states.items() if state is not None})
        elif layer.is_initialized:
            layer.batch_select_indices(rows)


def _key_of_prompt(request: Request) -> str:
    """A key for random numbers that says nothing of the weights."""
    return content_hash(repr((request.prompt_ids, request.sample)).encode())


@dataclass
class _Row:
    """A rollout in the making."""

    key: str
    request: Request
    draws: Draws
    thought: Any = None  # its thinking budget, a `chat.budget.automaton.Thought`
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    finish: str = ""


class TransformersEngine:
    """Answers requests that have `prompt_ids`. `ends` are the token ids that end an answer; `tags` is needed where
    requests have a thinking budget. `batch` is the most rollouts that are sampled together.

    A rollout does not depend on the others of its batch: its draws are its own, and padding on the left is exact. Only
    the rounding of the logits (1e-6) differs between batches; it changes a token if a draw falls so close to a border.
    """

    kind = "transformers"
    #: Whether requests may have a top_p below 1. Rollouts that train may not: it would bias their probabilities.
    nucleus = False

    def __init__(
        self,
        model: NemotronHForCausalLM,
        tokenizer: PreTrainedTokenizerBase,
        name: str,
        sha256: str,
        ends: Iterable[int],
        batch: int = 64,
        tags: Tags | None = None,
    ) -> None:
        self.model, self.tokenizer, self.name, self.sha256 = model, tokenizer, name, sha256
        self.template_sha256 = hashlib.sha256(b"").hexdigest()  # prompts arrive as tokens
        self._ends, self._batch, self._tags = frozenset(ends), batch, tags

    def run(self, requests: Iterable[tuple[str, Request]]) -> Iterator[tuple[str, Answer]]:
        """Yield (key, answer) for (key, request) pairs, batch by batch. Long prompts share batches with long ones."""
        import torch

        rows = [self._row(key, request) for key, request in requests]
        rows.sort(key=lambda row: (len(row.request.prompt_ids), row.request.prompt_ids))
        was_training = self.model.training
        self.model.eval()
        try:
            for first in range(0, len(rows), self._batch):
                started, together = time.perf_counter(), rows[first : first + self._batch]
                with torch.inference_mode():
                    self._sample(together)
                seconds = time.perf_counter() - started
                for row in together:
                    yield row.key, self._answer(row, seconds)
        finally:
            self.model.train(was_training)

    def _row(self, key: str, request: Request) -> _Row:
        sampling = request.sampling
        if request.prompt_ids is None or sampling.sampler != self.kind:
            raise EngineError(f"request {request.prompt} is not a rollout for {self.kind}: {sampling}")
        uncut = sampling.top_p == 1.0 or self.nucleus
        if not uncut or (sampling.top_k, sampling.stop) != (None, ()):
            raise EngineError(
                f"rollouts are sampled from all tokens, without stop texts, but request {request.prompt} has top_p "
                f"{sampling.top_p}, top_k {sampling.top_k} and stop {sampling.stop}: they would bias the probabilities"
            )
        row = _Row(key, request, Draws(key if sampling.draws is None else _key_of_prompt(request)))
        if sampling.budget is not None:
            from nemotron_assets.chat.budget.automaton import Budget, Thought

            if self._tags is None:
                raise EngineError(
                    f"request {request.prompt} has a thinking budget: give the engine the tokenizer's tags"
                )
            row.thought = Thought(self._tags, Budget(*sampling.budget), request.prompt_ids, sampling.max_tokens)
        return row

    def _sample(self, rows: list[_Row]) -> None:
        """Sample until all rows are finished. Finished rows leave the batch when half of it is finished."""
        import torch

        logits, cache, mask = self._prompts(rows)
        alive = list(rows)
        while True:
            self._extend(alive, logits)
            left = [number for number, row in enumerate(alive) if not row.finish]
            if not left:
                return
            if len(left) <= len(alive) // 2:
                chosen = torch.tensor(left, device=logits.device)
                _select(cache, chosen)
                mask = mask[chosen] if mask is not None else None
                alive = [alive[number] for number in left]
            last = torch.tensor([[row.tokens[-1]] for row in alive], device=logits.device)
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
            logits = self._forward(last, mask, cache)

    def _prompts(self, rows: list[_Row]) -> tuple[torch.Tensor, Any, torch.Tensor | None]:
        """The logits after the prompts, the cache, and the mask of the padding on the left (None without padding)."""
        import torch
        from transformers import DynamicCache

        device = self.model.device
        prompts = [(ids, len(list(same))) for ids, same in groupby(rows, key=lambda row: row.request.prompt_ids)]
        longest = max(len(ids) for ids, _ in prompts)
        tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for number, (ids, _) in enumerate(prompts):
            tokens[number, longest - len(ids) :] = torch.tensor(ids)
            mask[number, longest - len(ids) :] = 1
        tokens, mask = tokens.to(device), mask.to(device)
        padded = not bool(mask.all())
        cache = DynamicCache(config=self.model.config)
        logits = self._forward(tokens, mask if padded else None, cache)
        of_rows = torch.repeat_interleave(
            torch.arange(len(prompts), device=device), torch.tensor([count for _, count in prompts], device=device)
        )
        _select(cache, of_rows)
        return logits[of_rows], cache, mask[of_rows] if padded else None

    def _forward(self, tokens: torch.Tensor, mask: torch.Tensor | None, cache: Any) -> torch.Tensor:
        return self.model(
            input_ids=tokens, attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=1
        ).logits[:, -1]

    def _extend(self, rows: list[_Row], logits: torch.Tensor) -> None:
        """Give every unfinished row its next token."""
        banned = {
            number: row.thought.banned()
            for number, row in enumerate(rows)
            if row.thought is not None and not row.finish and row.thought.forced is None
        }
        (temperature, top_p), *others = {(row.request.sampling.temperature, row.request.sampling.top_p) for row in rows}
        if others:
            raise EngineError("the requests of a call must have one temperature and one top_p")
        tokens, logprobs = choose(logits, temperature, [row.draws.next() for row in rows], banned, top_p)
        for row, token, logprob in zip(rows, tokens, logprobs, strict=True):
            if row.finish:
                continue
            forced = row.thought.forced if row.thought is not None else None
            row.tokens.append(token if forced is None else forced)
            row.logprobs.append(logprob if forced is None else 0.0)
            row.forced.append(forced is not None)
            if row.thought is not None:
                row.thought.feed(row.tokens[-1])
            if row.tokens[-1] in self._ends:
                row.finish = "stop"
            elif len(row.tokens) >= row.request.sampling.max_tokens:
                row.finish = "length"

    def _answer(self, row: _Row, seconds: float) -> Answer:
        said = row.tokens[:-1] if row.finish == "stop" else row.tokens
        text = self.tokenizer.decode(said, skip_special_tokens=False)
        counts = len(row.request.prompt_ids), len(row.tokens)
        return Answer(text, *counts, row.finish, seconds, row.tokens, row.logprobs, row.forced)
