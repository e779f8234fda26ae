"""The prompts of reinforcement learning and preference tuning, beside those of the suite and of the tools.

- verifiable: questions of SFT data with a known answer, a scorer or tests
- instructions: requests with instructions that a program checks
- preference: conversations up to a user's message
A question is held out, or learned from, by its words: see `rows.is_asked_only`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.conversations.from_sft import DOMAIN, SftTable
from nemotron_assets.align.conversations.rows import (
    NO_THINK,
    Conversation,
    Prompt,
    chosen,
    is_asked_only,
    user,
    with_switches,
)
from nemotron_assets.align.conversations.screening import first_request
from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.chat.conversation import Message
from nemotron_assets.grading.process import BoundedProcess, Failure
from nemotron_assets.recipe.align.conversations import Prompts
from nemotron_assets.recipe.grading import Grading
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject

if TYPE_CHECKING:
    from nemotron_assets.align.conversations.from_records import Rejecting

Verifier = tuple[dict[str, dict[str, Any]], str | None]


def _procedural(row: dict[str, Any]) -> Verifier:
    item = {"task": row["task"], "config": row["config"], "seed": row["seed"], "index": row["item_index"]}
    return {"procedural": item}, row["answer"]


def _maths(row: dict[str, Any]) -> Verifier | None:
    known = row["known_answer"] or (row["final_answer"] if row["status"] == "verified" else None)
    return ({"math": {}}, known) if known and known.strip() else None


def _code(row: dict[str, Any]) -> Verifier | None:
    language = row["programming_language"]
    if not row["tests"] or language != "Python":  # assertions are Python
        return None
    return {"code": {"language": language, "code": "\n".join(row["tests"])}}, None


_VERIFIED: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any]], Verifier | None]]] = {
    "sft.procedural": (("task", "config", "seed", "item_index"), _procedural),
    "sft.math_sft": (("known_answer", "final_answer"), _maths),
    "sft.code_sft": (("programming_language", "tests"), _code),
}
_READ = ("id", "question", "answer", "status", "origin_hash")


def verifiable(table: SftTable, no_think_share: float) -> Iterator[Prompt]:
    """The questions of a table of SFT data that a program can check the answer of, each once."""
    name = table.reader.table.full_name
    if name not in _VERIFIED:
        return
    columns, verifier = _VERIFIED[name]
    seen: set[str] = set()  # hashes of the questions of one table, about 100 bytes for each
    for row in table.rows((*_READ, *columns), with_test=True):
        found, question = verifier(row), row["question"].strip()
        if found is None or (asked := content_hash(question)) in seen:
            continue
        seen.add(asked)
        held_out = row["split"] == "test" if "split" in row else is_asked_only(table.asked_only, question)
        yield Prompt(
            part=name,
            key=(row["id"],),
            kind="verifiable",
            domain=DOMAIN[name],
            split="held_out" if held_out else "train",
            messages=(_asked(question, no_think_share),),
            verifiers=found[0],
            reference=found[1],
            origin_hash=row["origin_hash"],
            parents=(row["id"],),
            sources=(name,),
        )


def _asked(question: str, no_think_share: float) -> Message:
    return user(f"{question} {NO_THINK}" if chosen(no_think_share, "prompt", question) else question)


def instructed(
    requests: Iterable[Conversation], recipe: Prompts, limits: Grading, part: str, reject: Rejecting
) -> Iterator[Prompt]:
    """English requests with instructions. If there are fewer requests than the recipe wants prompts, each is used
    several times with other instructions."""
    from nemotron_assets.align.conversations import instructing

    own = recipe.instructions
    english = (first_request(one) for one in requests if one.language == "en")
    texts = list(islice(dict.fromkeys(english), own.prompts))
    turns = [(place // len(texts), texts[place % len(texts)]) for place in range(own.prompts)] if texts else []
    kinds = sorted(own.kinds) if own.kinds else None
    asked = [{"seed": own.seed + turn, "most": own.most, "kinds": kinds, "request": text} for turn, text in turns]
    with contextlib.closing(BoundedProcess(instructing.load, instructing.compose, limits)) as process:
        for one, made in zip(asked, process.map(asked), strict=True):
            request, key = one["request"], (one["seed"], content_hash(one["request"]))
            if isinstance(made, Failure):
                reject(Reject(row_id(PROMPTS.full_name, part, *key), "no_instructions", made.reason))
                continue
            yield Prompt(
                part=part,
                # Other instructions are another prompt: the stored rollouts of a prompt were graded by its verifiers.
                key=(*key, content_hash(json.dumps(made["instructions"], sort_keys=True))),
                kind="instructions",
                domain="chat",
                split="held_out" if is_asked_only(recipe.held_out_share, request) else "train",
                messages=(_asked(f"{request} {made['text']}", recipe.no_think_share),),
                verifiers={"instruction": {"instructions": made["instructions"]}},
                origin_hash=content_hash(request),
            )


def contexts(conversations: Iterable[Conversation], recipe: Prompts, part: str) -> Iterator[Prompt]:
    """Conversations of chat and safety up to their last message of a user: answers to it are compared."""
    for one in conversations:
        last = max((number for number, message in enumerate(one.messages) if message.role == "user"), default=None)
        if last is None or one.domain not in ("chat", "safety"):
            continue
        thought = None if chosen(recipe.no_think_share, "context", one.id) else "x"
        said = [*one.messages[: last + 1], Message("assistant", "x")]  # the answer to come decides the last switch
        messages = with_switches(
            [dataclasses.replace(m, reasoning=(m.role == "assistant" and thought) or None) for m in said]
        )
        yield Prompt(
            part=part,
            key=one.key,
            kind="preference",
            domain=one.domain,
            split="held_out" if is_asked_only(recipe.held_out_share, first_request(one)) else "train",
            messages=tuple(dataclasses.replace(message, reasoning=None) for message in messages[:-1]),
            verifiers={"format": {}},
            origin_hash=one.origin_hash,
            parents=one.parents,
            sources=one.sources,
            tools=one.tools,
        )
