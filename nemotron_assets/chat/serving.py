"""What vLLM's server needs to speak our chat format: prompts and parsers of the plugin, the budget, the end of turn."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nemotron_assets.chat.budget import PROCESSOR
from nemotron_assets.chat.template import END_OF_TURN_ID

PLUGIN, PARSER = "nemotron_assets.chat.vllm_plugin", "nemotron"


@dataclass(frozen=True)
class Limits:
    """The thinking budget of requests that name no budget of their own (`thinking_budget` in `vllm_xargs`): the three
    numbers of a `Budget`, in tokens. `tokens` None lets a model think as long as it likes."""

    tokens: int | None
    grace: int
    answer_room: int


def server_options(limits: Limits) -> dict[str, Any]:
    """The arguments of `vllm serve` for a model of our chat format."""
    return {
        "tool_parser_plugin": PLUGIN,
        "tool_call_parser": PARSER,
        "enable_auto_tool_choice": True,
        "reasoning_parser_plugin": PLUGIN,
        "reasoning_parser": PARSER,
        "logits_processors": [PROCESSOR],
        "additional_config": {"thinking_budget": asdict(limits)},
        "stop_token_ids": [END_OF_TURN_ID],
    }
