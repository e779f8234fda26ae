"""The thinking budget in vLLM, which is started with `--logits-processors` and `PROCESSOR` of the package.

A request names its budget in `SamplingParams.extra_args` (`vllm_xargs` of the OpenAI server): `thinking_budget`, and if
it wants `thinking_grace` and `answer_room`, all in tokens. What a request does not name comes from the engine's
`additional_config`, {"thinking_budget": {"tokens": null, "grace": 500, "answer_room": 256}}. A request without a budget
is left alone.

vLLM has two model runners with two interfaces for processors, and chooses the runner by itself: the CPU build runs V1,
CUDA by default V2. `ThinkingBudget` has both interfaces, so it works whichever runner vLLM chooses. vLLM's own
`thinking_token_budget` cuts within a line and lets a model open a second thought.

This module imports vLLM: only an engine may import it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from vllm.v1.sample.logits_processor.builtin import process_dict_updates
from vllm.v1.sample.logits_processor.interface import BatchUpdate
from vllm.v1.sample.logits_processor.interface import LogitsProcessor as ProcessorV1
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsContext, LogitsProcRequestState
from vllm.v1.worker.gpu.sample.logits_processor.interface import LogitsProcessor as ProcessorV2

from nemotron_assets.chat.budget.automaton import Budget, Thought
from nemotron_assets.chat.budget.masking import mask
from nemotron_assets.chat.budget.tags import Tags

#: Names of a request's arguments, and of the field of `Budget` that each is.
ARGUMENTS = {"thinking_budget": "tokens", "thinking_grace": "grace", "answer_room": "answer_room"}
_DEFAULTS = {"tokens": None, "grace": 0, "answer_room": 0}


def budget_of(params: Any, defaults: Mapping[str, Any]) -> Budget | None:
    """The budget of a request, None if it has none. Raises ValueError for values that are not tokens."""
    arguments = params.extra_args or {}
    given = {name: arguments[key] for key, name in ARGUMENTS.items() if arguments.get(key) is not None}
    own = {**_DEFAULTS, **defaults, **given}
    if unknown := own.keys() - _DEFAULTS.keys():
        known = ", ".join(_DEFAULTS)
        raise ValueError(f"{', '.join(sorted(unknown))} in additional_config: thinking_budget has {known}")
    if getattr(params, "thinking_token_budget", None) is not None:
        raise ValueError("thinking_token_budget is vLLM's own budget: give thinking_budget in vllm_xargs instead")
    budget = Budget(**own)
    return None if budget.tokens is None else budget


class ThinkingBudget(ProcessorV1, ProcessorV2):
    """Keeps requests within their budgets of thought, in either model runner of vLLM."""

    def __init__(
        self, vllm_config: Any, states: torch.device | LogitsProcRequestState, is_pin_memory: bool | None = None
    ) -> None:
        from vllm.tokenizers import cached_tokenizer_from_config

        config = vllm_config.additional_config
        own = config.get("thinking_budget") if isinstance(config, dict) else None
        requests = _Requests(
            Tags.of(cached_tokenizer_from_config(vllm_config.model_config)),
            own or {},
            vllm_config.model_config.max_model_len,
        )
        # The V1 runner gives its device and whether memory is pinned, the V2 runner the states of its requests.
        self._v1 = _V1(requests) if is_pin_memory is not None else None
        self._v2 = _V2(requests, states) if is_pin_memory is None else None

    @classmethod
    def validate_params(cls, params: Any) -> None:
        """Refuse a request with arguments that are not tokens: the server answers with status 400."""
        budget_of(params, {})

    # -- V1 --

    def is_argmax_invariant(self) -> bool:
        """No: greedy sampling must see the forced tokens too."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests that enter, leave or change their row."""
        self._v1.update(batch_update)

    # -- V2 --

    def add_request(self, req_idx: int, sampling_params: Any) -> bool:
        """A request enters a slot; whether it has a budget."""
        return self._v2.add(req_idx, sampling_params)

    # -- both --

    def apply(self, logits: torch.Tensor, ctx: LogitsContext | None = None) -> torch.Tensor:
        """Mask logits (rows, vocabulary) in place."""
        rows = self._v1.rows() if ctx is None else self._v2.rows(ctx)
        for row, thought in rows:
            mask(logits[row], thought)
        return logits


@dataclass(frozen=True)
class _Requests:
    """Makes the automaton of a request."""

    tags: Tags
    defaults: Mapping[str, Any]
    max_model_len: int

    def thought(self, params: Any, budget: Budget, prompt: Sequence[int]) -> Thought:
        room = self.max_model_len - len(prompt)
        total = room if params.max_tokens is None else min(params.max_tokens, room)
        # The tokens that end this request too, for example those of the model's generation_config.json.
        tags = self.tags.with_ends(params.all_stop_token_ids)
        return Thought(tags, budget, prompt, total)


@dataclass
class _Followed:
    """A request with the tokens of its answer that its automaton has seen."""

    params: Any
    budget: Budget
    prompt: list[int] | None = None
    output: list[int] = field(default_factory=list)
    thought: Thought | None = None
    seen: int = 0


class _V1:
    """The V1 runner gives every request a list of its tokens, which it extends itself."""

    def __init__(self, requests: _Requests) -> None:
        self._requests, self._rows = requests, {}

    def update(self, batch_update: BatchUpdate | None) -> None:
        process_dict_updates(self._rows, batch_update, self._followed)

    def _followed(self, params: Any, prompt: list[int] | None, output: list[int]) -> _Followed | None:
        budget = budget_of(params, self._requests.defaults)
        if budget is None:
            return None
        if prompt is None:
            raise ValueError("a prompt of embeddings has no tokens, so a thinking budget cannot be kept: give tokens")
        return _Followed(params, budget, prompt, output)

    def rows(self) -> Iterator[tuple[int, Thought]]:
        """The rows with a budget, each up to its last token. They are read only now: under asynchronous scheduling the
        last token is a placeholder (-1) until the logits of the next one are masked."""
        for row, own in self._rows.items():
            if own.thought is None or own.seen > len(own.output):  # new, or tokens were taken back
                own.thought, own.seen = self._requests.thought(own.params, own.budget, own.prompt), 0
            for token in own.output[own.seen :]:
                if token < 0:
                    break
                own.thought.feed(token)
                own.seen += 1
            yield row, own.thought


class _V2:
    """The V2 runner keeps all tokens of its requests in one tensor on the device, a row per slot. Drafts of speculative
    decoding have logits of their own, and are in the batch's input alone until they are accepted."""

    def __init__(self, requests: _Requests, states: LogitsProcRequestState) -> None:
        self._requests, self._states, self._slots = requests, states, {}

    def add(self, slot: int, params: Any) -> bool:
        budget = budget_of(params, self._requests.defaults)
        self._slots.pop(slot, None)
        if budget is not None:
            self._slots[slot] = _Followed(params, budget)
        return budget is not None

    def rows(self, ctx: LogitsContext) -> Iterator[tuple[int, Thought]]:
        """The rows of logits with a budget, each up to the token before it."""
        slots = [slot for slot in ctx.idx_mapping_np.tolist() if slot in self._slots]
        if not slots:
            return
        self._follow(slots)
        if len(ctx.expanded_idx_mapping) == len(ctx.idx_mapping_np):  # a row per request, without a look at the device
            for row, slot in enumerate(ctx.idx_mapping_np.tolist()):
                if slot in self._slots:
                    yield row, self._slots[slot].thought
            return
        inputs, thought = ctx.input_ids.tolist(), None
        places = zip(ctx.expanded_idx_mapping.tolist(), ctx.expanded_local_pos.tolist(), strict=True)
        for row, (slot, place) in enumerate(places):
            if slot not in self._slots:
                continue
            thought = copy.copy(self._slots[slot].thought if place == 0 else thought)
            if place:  # the input of this row is the draft after the row before it
                thought.feed(inputs[row])
            yield row, thought

    def _follow(self, slots: list[int]) -> None:
        """Feed the tokens that only the device has, with two copies from it for the whole batch."""
        device = self._states.device
        lengths = self._states.total_len.gpu[torch.tensor(slots, device=device)].tolist()
        begins = [self._slots[slot].seen for slot in slots]
        where = [(s, place) for s, b, end in zip(slots, begins, lengths, strict=True) for place in range(b, end)]
        rows, places = torch.tensor(where, device=device).reshape(-1, 2).unbind(1)
        tokens = iter(self._states.all_token_ids.gpu[rows, places].tolist())
        for slot, begin, end in zip(slots, begins, lengths, strict=True):
            own, new = self._slots[slot], [next(tokens) for _ in range(begin, end)]
            if own.thought is None:
                prompt = int(self._states.prompt_len.np[slot])
                own.thought, new = self._requests.thought(own.params, own.budget, new[:prompt]), new[prompt:]
            for token in new:
                own.thought.feed(token)
            own.seen = end
