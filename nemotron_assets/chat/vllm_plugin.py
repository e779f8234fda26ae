"""Our chat format in vLLM's server: how a conversation becomes a prompt, and an answer becomes a message.

`nemotron serve` names this module as vLLM's plugin of tool parsers and of reasoning parsers. Both parsers are called
"nemotron". They hand the text to the readers of `parsing.py`, so a stream gives the same message as a whole answer. The
renderer makes prompts with `template.py`, so a user's "<SPECIAL_12>" stays text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from vllm.entrypoints.generate.base.protocol import (
    DeltaFunctionCall,
    DeltaMessage,
    DeltaToolCall,
    ExtractedToolCallInformation,
    FunctionCall,
    ToolCall,
)
from vllm.exceptions import VLLMValidationError
from vllm.reasoning import ReasoningParser, ReasoningParserManager
from vllm.renderers.chat_utils import make_tool_call_id
from vllm.renderers.hf import HfRenderer
from vllm.renderers.registry import RENDERER_REGISTRY
from vllm.sampling_params import StructuredOutputsParams
from vllm.tool_parsers import ToolParser, ToolParserManager
from vllm.utils.async_utils import make_async

from nemotron_assets.chat import conversation
from nemotron_assets.chat.parsing import CALLS, CLOSE, END_OF_CALLS, OPEN, AnswerReader, Piece, ThoughtReader
from nemotron_assets.chat.template import TURN_ID, prompt_from_client, thinks

NAME = "nemotron"
_TAIL = 24  # tokens in which a close that ends with the newest token is found: no tag has more bytes than this


@ReasoningParserManager.register_module(NAME)
class NemotronReasoningParser(ReasoningParser):
    """Tells a thought from the answer after it. One parser reads one answer."""

    engine_based_streaming = True  # the parser keeps what it has read, and has a last word at the end

    def __init__(self, tokenizer: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(tokenizer, *args, **kwargs)
        self._thinking = bool((kwargs.get("chat_template_kwargs") or {}).get("enable_thinking", True))
        self._reader = ThoughtReader()
        self._thought = True

    @property
    def reasoning_start_str(self) -> str:
        return OPEN

    @property
    def reasoning_end_str(self) -> str:
        return CLOSE

    def is_reasoning_end(self, input_ids: Sequence[int]) -> bool:
        """Whether the last turn of a prompt, or an answer, has a closed thought."""
        ids = list(input_ids)
        turn = len(ids) - ids[::-1].index(TURN_ID) if TURN_ID in ids else 0
        return CLOSE in self.model_tokenizer.decode(ids[turn:])

    def is_reasoning_end_streaming(self, input_ids: Sequence[int], delta_ids: Iterable[int]) -> bool:
        """Whether the newest tokens closed the thought."""
        return CLOSE in self.model_tokenizer.decode(list(input_ids[-_TAIL - len(list(delta_ids)) :]))

    def extract_content_ids(self, input_ids: list[int]) -> list[int]:
        """The tokens after the one that ends the close."""
        return list(input_ids[self._until_close(input_ids) :])

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        """The tokens of the thought without its close, as a thinking budget counts them; 0 where the prompt has an
        empty thought."""
        if not self._thought:
            return 0
        ids = list(token_ids[: self._until_close(token_ids)])
        thought = self.model_tokenizer.decode(ids).partition(CLOSE)[0]
        while ids and len(self.model_tokenizer.decode(ids)) > len(thought):
            ids.pop()
        return len(ids)

    def _until_close(self, ids: Sequence[int]) -> int:
        """How many tokens it takes to have the whole close; all of them if it is not there."""
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            low, high = (
                (low, middle) if CLOSE in self.model_tokenizer.decode(list(ids[:middle])) else (middle + 1, high)
            )
        return low

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:
        """(the thought, the answer after it) of a whole output; None for an empty one."""
        self._thought = _thinks(request, self._thinking)
        if not self._thought:
            return None, model_output
        reader = ThoughtReader()
        thought, rest = reader.feed(model_output)
        return (thought + reader.end()) or None, rest

    def extract_reasoning_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
    ) -> DeltaMessage | None:
        """More of the thought, and what follows its close."""
        thought, rest = self._reader.feed(delta_text)
        return DeltaMessage(reasoning=thought or None, content=rest or None) if thought or rest else None

    def has_engine_confirmed_reasoning_end(self) -> bool:
        return self._reader.closed

    def finish_streaming(self) -> DeltaMessage | None:
        """What was kept back, because it could have become the close."""
        thought = self._reader.end()
        return DeltaMessage(reasoning=thought) if thought else None


@ToolParserManager.register_module(NAME)
class NemotronToolParser(ToolParser):
    """Reads the list of calls at the end of an answer. One parser reads one answer.

    With the tool choice "required" or a named tool, a grammar lets the model write only a list of calls in our form.
    """

    engine_based_streaming = True
    supports_required_and_named = False  # vLLM's own grammar is for a bare JSON list

    def __init__(self, tokenizer: Any, tools: list[Any] | None = None) -> None:
        super().__init__(tokenizer, tools)
        self._reader: AnswerReader | None = None
        self._streamed = 0

    def adjust_request(self, request: Any) -> Any:
        choice = request.tool_choice
        if request.tools and choice not in (None, "none", "auto") and hasattr(request, "messages"):
            named = None if choice == "required" else choice.function.name
            tools = [tool.function for tool in request.tools if named in (None, tool.function.name)]
            schema = calls_schema(tools, 1 if request.parallel_tool_calls is False else None)
            calls = {"type": "tag", "begin": CALLS, "content": {"type": "json_schema", "json_schema": schema}}
            space = {"type": "regex", "pattern": "\\n{0,2}"}  # the template writes an empty line after a thought
            form = {"type": "sequence", "elements": [space, calls | {"end": END_OF_CALLS}]}
            tag = json.dumps({"type": "structural_tag", "format": form})
            request.structured_outputs = StructuredOutputsParams(structural_tag=tag)
            request.response_format = None
        return request

    def extract_tool_calls(self, model_output: str, request: Any) -> ExtractedToolCallInformation:
        """The calls and the text of a whole answer. Without tools in the request, everything is text."""
        reader = _reader(request)
        pieces = [reader.feed(model_output), reader.end()]
        calls = [ToolCall(function=_function(call)) for piece in pieces for call in piece.calls]
        content = "".join(piece.content for piece in pieces)
        return ExtractedToolCallInformation(tools_called=bool(calls), tool_calls=calls, content=content or None)

    def extract_tool_calls_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,
        previous_token_ids: Sequence[int],
        current_token_ids: Sequence[int],
        delta_token_ids: Sequence[int],
        request: Any,
    ) -> DeltaMessage | None:
        """More of the text, and the calls when their list is complete."""
        self._reader = self._reader or _reader(request)
        return self._delta(self._reader.feed(delta_text))

    def finish_streaming(self) -> DeltaMessage | None:
        """What was kept back, because it could have become a list of calls."""
        return self._delta(self._reader.end()) if self._reader else None

    def _delta(self, piece: Piece) -> DeltaMessage | None:
        calls = [
            DeltaToolCall(
                id=make_tool_call_id(),
                type="function",
                index=self._streamed + number,
                function=DeltaFunctionCall(**_function(call).model_dump(include={"name", "arguments"})),
            )
            for number, call in enumerate(piece.calls)
        ]
        self._streamed += len(calls)
        for call in calls:  # vLLM ends a stream with what is in the first list and not in the second
            self.prev_tool_call_arr.append(call.function.model_dump())
            self.streamed_args_for_tool.append(call.function.arguments or "")
        if not calls and not piece.content:
            return None
        return DeltaMessage(content=piece.content or None, tool_calls=calls)


def _reader(request: Any) -> AnswerReader:
    return AnswerReader(calls=request.tool_choice != "none")


def calls_schema(tools: Sequence[Any], most: int | None) -> dict[str, Any]:
    """The JSON schema of a list of 1 to `most` calls of these tools (`name` and `parameters`, a JSON schema).

    Definitions ("$defs") of the tools are put at the top, where their references look for them.
    """
    definitions: dict[str, Any] = {}
    calls = []
    for tool in tools:
        parameters = dict(tool.parameters or {"type": "object"})
        definitions |= parameters.pop("$defs", {})
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": parameters},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema: dict[str, Any] = {"type": "array", "items": {"anyOf": calls}, "minItems": 1}
    return schema | ({"maxItems": most} if most else {}) | ({"$defs": definitions} if definitions else {})


class NemotronRenderer(HfRenderer):
    """Makes prompts of our template. Its tokens are made here, so that no text of a client becomes a special token."""

    def __init__(self, config: Any, tokenizer: Any) -> None:
        super().__init__(config, tokenizer)
        self._apply_chat_template_async = make_async(_prompt, executor=self._executor)


_OPTIONS = ("enable_thinking", "add_generation_prompt", "continue_final_message")


def _prompt(model_config: Any, tokenizer: Any, messages: list[Any], tools: Any = None, **options: Any) -> list[int]:
    """The tokens of a request. Tools get the form in which the model was trained on them."""
    said = [{**message, "role": "system"} if message["role"] == "developer" else message for message in messages]
    functions = [tool.get("function") or tool for tool in tools or ()]
    known = [
        {key: f[key] for key in ("name", "description", "parameters") if f.get(key) is not None} for f in functions
    ]
    given = {name: options[name] for name in _OPTIONS if options.get(name) is not None}
    try:
        return prompt_from_client(tokenizer, said, known, **given)
    except ValueError as error:
        raise VLLMValidationError(str(error)) from error


RENDERER_REGISTRY.register("hf", __name__, NemotronRenderer.__name__)


def _function(call: conversation.ToolCall) -> FunctionCall:
    return FunctionCall(name=call.name, arguments=json.dumps(call.arguments, ensure_ascii=False))


def _thinks(request: Any, default: bool) -> bool:
    """Whether the prompt of a request leaves its thought open."""
    messages = getattr(request, "messages", None)
    if messages is None or request.continue_final_message:
        return messages is None and default
    return thinks(messages, default)
