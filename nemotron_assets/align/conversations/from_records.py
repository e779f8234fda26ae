"""Conversations in the chat format from outside of the lake: the project's own set, local files, and the hub.

A record has `messages`, a list of objects with role and content, and may have id, domain, language, tools and harmful
(see sample/conversations/README.md). Published sets have the thought in the content, between <think> and </think>.
Records are read one by one and checked: a broken one is rejected with its reason and stops nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nemotron_assets.align.conversations.rows import Conversation, with_switches
from nemotron_assets.align.conversations.tables import CONVERSATIONS, DOMAINS
from nemotron_assets.chat.conversation import Message, from_json, problems, to_json
from nemotron_assets.recipe.align.conversations import FileSource, HubSource
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.storable import storable

OWN = Path(__file__).resolve().parents[2] / "sample" / "conversations"

#: Longest line of a file, in bytes, and most messages of a conversation.
MOST_BYTES, MOST_MESSAGES = 4 << 20, 1_000
_ROWS = 256

Record = tuple[str, int, Any]  # data set, number in it, what stands there
Rejecting = Callable[[Reject], None]


def own_files() -> list[Path]:
    """The files of the project's own conversations."""
    return sorted(OWN.glob("*.jsonl"))


def files(source: FileSource) -> list[Path]:
    """The files of a source. Raises `RecipeError` if the source has no file of a known form."""
    path = Path(source.path).expanduser()
    found = [path] if path.is_file() else sorted((*path.glob("*.jsonl"), *path.glob("*.parquet")))
    if not found or found[0].suffix not in (".jsonl", ".parquet"):
        raise RecipeError(
            f"align.conversations.files: {source.path} is not a .jsonl or .parquet file, or a folder with such files"
        )
    return found


def read_file(path: Path, name: str) -> Iterator[Record]:
    """The records of a JSON-lines or Parquet file. A line that is too long, or no JSON, is a record that is a text."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(batch_size=_ROWS) for row in batch.to_pylist())
            yield from ((name, number, row) for number, row in enumerate(rows, 1))
        return
    with path.open("rb") as lines:
        for number in itertools.count(1):
            line = lines.readline(MOST_BYTES + 1)
            if not line:
                return
            if len(line) > MOST_BYTES:
                while line and not line.endswith(b"\n"):  # the rest of the line
                    line = lines.readline(MOST_BYTES)
                yield name, number, f"the line has more than {MOST_BYTES:,} bytes"
            elif line.strip():
                yield name, number, _json(line)


def _json(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return f"it is not a line of JSON: {error!r:.200}"


def read_hub(source: HubSource, key: str) -> Iterator[Record]:
    """The rows of a data set of the hub, one by one. Raises `RecipeError` if it cannot be read: without a network."""
    import datasets

    name = source.dataset if source.config is None else f"{source.dataset}/{source.config}"
    try:
        rows = datasets.load_dataset(source.dataset, source.config, split=source.split, streaming=True)
        for number, row in enumerate(rows, 1):
            if source.max_rows is not None and number > source.max_rows:
                return
            if all(str(row.get(column)) == value for column, value in source.where.items()):
                yield f"{name}/{source.split}", number, {**row, "messages": _messages(row, source)}
    except Exception as error:  # the library raises errors of many libraries
        raise RecipeError(
            f"{key}: the data set {source.dataset} (split {source.split}) cannot be read: {type(error).__name__}: "
            f"{str(error)[:300]}. It needs a network, and some sets need HF_TOKEN. Without them name local files in "
            "align.conversations.files"
        ) from error


def _messages(row: Mapping[str, Any], source: HubSource) -> Any:
    said = row.get(source.column)
    if source.answer is None or not isinstance(said, list):
        return said
    return [*said, {"role": "assistant", "content": row.get(source.answer)}]


def conversations(
    records: Iterable[Record],
    part: str,
    domain: str,
    reject: Rejecting,
    language: str = "en",
    answered: bool = True,
) -> Iterator[tuple[Conversation, bool | None]]:
    """(conversation, whether the record says that its request is harmful) for every sound record."""
    for data_set, number, record in records:
        try:
            found = conversation(record, part, data_set, number, domain, language, answered)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            where = row_id(CONVERSATIONS.full_name, part, data_set, number)
            reject(
                Reject(where, "broken_conversation", f"{data_set} record {number}: {str(error) or repr(error):.300}")
            )
            continue
        yield found, record.get("harmful")


def conversation(
    record: Mapping[str, Any], part: str, data_set: str, number: int, domain: str, language: str, answered: bool
) -> Conversation:
    """The conversation of a record; unless `answered`, a user's message may end it. Raises an error that says what is
    wrong with it."""
    if not isinstance(record, Mapping):
        raise ValueError(record if isinstance(record, str) else f"it is a {type(record).__name__}, not an object")
    said = record["messages"]
    stored = json.dumps([_calls(one) for one in (json.loads(said) if isinstance(said, str) else said)])
    if len(stored) > MOST_BYTES:
        raise ValueError(f"it has {len(stored):,} characters, {MOST_BYTES:,} allowed")
    messages = tuple(map(_tidy, from_json(storable(stored))))
    if len(messages) > MOST_MESSAGES:
        raise ValueError(f"it has {len(messages):,} messages, {MOST_MESSAGES:,} allowed")
    open_end = not answered and messages and messages[-1].role == "user"
    found = problems((*messages, Message("assistant", "answer")) if open_end else messages)
    if found or not (open_end or messages[-1].role == "assistant"):
        raise ValueError("; ".join(found) or "no answer ends it")
    messages = messages if open_end else with_switches(messages)
    domain = record.get("domain") or domain
    if domain not in DOMAINS:
        raise ValueError(f"the domain {domain!r:.40} is not one of {', '.join(DOMAINS)}")
    return Conversation(
        part=part,
        key=(data_set, str(record.get("id") or number)),
        domain=domain,
        data_set=data_set,
        language=str(record.get("language") or language)[:16],
        messages=messages,
        tools=tuple(_list(record.get("tools"))),
        origin_hash=content_hash(to_json([message for message in messages if message.role != "assistant"])),
        status="unverified",
    )


def _calls(message: Any) -> Any:
    """A message whose calls are {"name", "arguments"}: OpenAI's form has them inside of "function", as text."""
    if not isinstance(message, dict) or not message.get("tool_calls"):
        return message
    calls = [call.get("function") or call for call in message["tool_calls"]]
    calls = [
        {"name": call["name"], "arguments": json.loads(given) if isinstance(given := call["arguments"], str) else given}
        for call in calls
    ]
    return {**message, "content": message.get("content") or "", "tool_calls": calls}


def _list(tools: Any) -> list[dict[str, Any]]:
    found = json.loads(tools) if isinstance(tools, str) and tools else tools or []
    if not all(isinstance(tool, dict) and isinstance(tool.get("name"), str) for tool in found):
        raise ValueError("tools are a list of objects with name, description and parameters")
    return found


def _tidy(message: Message) -> Message:
    """A message whose thought stands in its own field: published sets have it in the content."""
    if message.role != "assistant" or message.reasoning or "</think>" not in message.content:
        return message
    thought, _, answer = message.content.partition("</think>")
    thought = thought.removeprefix("<think>").strip()
    return dataclasses.replace(message, content=answer.strip(), reasoning=thought or None)
