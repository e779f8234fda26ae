"""Audits of conversations and prompts: their form, the shares of copies, held-out questions, and references."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.align.conversations.rows import with_switches
from nemotron_assets.align.conversations.tables import DOMAINS, KINDS, SPLITS, VARIANTS
from nemotron_assets.chat.conversation import from_json, problems, tools_from_json
from nemotron_assets.chat.encoding import training_rows
from nemotron_assets.chat.template import END_OF_TURN_ID
from nemotron_assets.grading.rewards import Rewards, thinks
from nemotron_assets.held_out import is_held_out
from nemotron_assets.recipe.align.conversations import Copies

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SIGMA = 4  # standard deviations by which a share may differ from the recipe's
#: Verifiers whose reference is itself a right answer.
_SELF = ("exact", "math", "procedural", "tools")


def faults_of_form(rows: pl.LazyFrame, tokenizer: Tokenizer, most: int) -> dict[str, Any]:
    """{kind of fault: number} among the `most` conversations with the lowest ids: messages that must not be learned
    from, a thought where the row says off, unknown values, and last answers without a trained end-of-turn token."""
    found = dict.fromkeys(("not_sound", "wrong_reasoning", "unknown_values", "end_not_trained"), 0)
    example = ""
    frame = rows.bottom_k(most, by="id").collect(engine="streaming")
    for row in frame.iter_rows(named=True):
        try:
            messages, tools = from_json(row["messages"]), tools_from_json(row["tools"])
            faults = problems(messages)
            last = [] if faults else training_rows(tokenizer, messages, tools, last=1)
        except ValueError as error:
            faults, last, messages = [str(error)], [], ()
        found["not_sound"] += bool(faults)
        example = example or "; ".join(faults)
        found["wrong_reasoning"] += (row["reasoning"] == "on") != any(message.reasoning for message in messages)
        found["unknown_values"] += row["domain"] not in DOMAINS or row["variant"] not in VARIANTS
        found["end_not_trained"] += not faults and not (
            last and last[-1].trained[-1] and last[-1].ids[-1] == END_OF_TURN_ID
        )
    return {**found, "conversations_checked": frame.height, "example": example}


def shares(rows: pl.LazyFrame, recipe: Copies) -> dict[str, Any]:
    """The realised shares of copies among the whole conversations with a thought, and how many copies have no original
    or are not what the recipe says. `off` names shares that chance does not explain."""
    # Five short values per conversation, about 100 bytes.
    frame = rows.select("id", "variant", "reasoning", "copy_of", "budget").collect(engine="streaming")
    thinking = frame.filter(variant="full", reasoning="on")
    counts = dict(frame.group_by("variant").len().iter_rows())
    copies = frame.filter(pl.col("variant").is_in(["no_think", "truncated"]))
    least, most = recipe.truncated_tokens
    wrong = frame.filter(variant="truncated").filter(~pl.col("budget").is_between(least, most)).height
    orphans = copies.join(thinking.select(copy_of="id"), on="copy_of", how="anti").height
    share, number = recipe.no_think_share, max(thinking.height, 1)
    realised = counts.get("no_think", 0) / number
    allowed = _SIGMA * math.sqrt(share * (1 - share) / number) + 1 / number
    return {
        "conversations": counts.get("full", 0),
        "with_a_thought": thinking.height,
        "no_think_share": realised,
        "truncated_share": counts.get("truncated", 0) / number,
        "long_conversations": counts.get("concatenated", 0),
        "copies_without_original": orphans,
        "budgets_outside_of_the_recipe": wrong,
        "copies_that_think": frame.filter(variant="no_think", reasoning="on").height,
        "off": [f"no_think: {realised:.3f}, recipe {share:.3f}"] if abs(realised - share) > allowed else [],
    }


def held_out_rows(rows: pl.LazyFrame, share: float) -> int:
    """Conversations of SFT data whose page, file or seed is held out from the pretraining."""
    of_pages = pl.col("part").str.starts_with("sft.") & (pl.col("variant") != "concatenated")
    return rows.filter(of_pages & is_held_out(share, "origin_hash")).select(pl.len()).collect(engine="streaming").item()


def learned_prompts(prompts: pl.LazyFrame, conversations: pl.LazyFrame) -> list[str]:
    """Held-out prompts of questions that a conversation learns: the last user's text of the prompt, without switches,
    is a user's text in a conversation. The first request of a dialogue decides whether it is held out, so of prompts
    of the kind preference the first text is compared, with the first text of each conversation (not of a concatenated
    one: its parts are conversations, too). Tools are apart: there the office decides, and not the words."""
    wanted: dict[str, str] = {}
    opening: dict[str, str] = {}
    # Held-out prompts alone are in memory: the recipe bounds them.
    held_out = prompts.filter((pl.col("split") == "held_out") & (pl.col("kind") != "tools"))
    for row, kind, messages in held_out.select("id", "kind", "messages").collect(engine="streaming").iter_rows():
        requests = _requests(messages)
        if kind == "preference":
            opening[requests[0]] = row
        else:
            wanted[requests[-1]] = row
    found: set[str] = set()
    learned = conversations.select("messages", "variant").collect_batches(chunk_size=1_024, engine="streaming")
    for messages, variant in (row for frame in learned for row in frame.iter_rows()):
        requests = _requests(messages)
        found.update(wanted[said] for said in requests if said in wanted)
        if variant != "concatenated" and requests and requests[0] in opening:
            found.add(opening[requests[0]])
    return sorted(found)


def _requests(stored: str) -> list[str]:
    messages = from_json(stored)
    return [" ".join(message.content.split()).casefold() for message in _bare(messages) if message.role == "user"]


def _bare(messages: tuple) -> Iterator[Any]:
    import dataclasses

    yield from with_switches([dataclasses.replace(m, reasoning="x") if m.role == "assistant" else m for m in messages])


def faults_of_prompts(prompts: pl.LazyFrame, rewards: Rewards, each: int) -> dict[str, Any]:
    """{kind of fault: number} among the `each` prompts of every part with the lowest ids: the reference earns no
    reward, an empty answer earns one, or a verifier fails; and unknown values among all prompts."""
    number = pl.col("id").rank("ordinal").over("part", "kind")
    sample = prompts.with_columns(number=number).filter(pl.col("number") <= each).sort("id").collect()
    rows = list(sample.iter_rows(named=True))
    referenced = [row for row in rows if row["reference"] and any(f'"{name}"' in row["verifiers"] for name in _SELF)]
    right = list(rewards.grade((row, _as_answer(row, row["reference"])) for row in referenced))
    judged = [row for row in rows if row["kind"] != "preference"]
    empty = list(rewards.grade((row, _as_answer(row, "")) for row in judged))
    unknown = prompts.filter(~pl.col("kind").is_in(KINDS) | ~pl.col("split").is_in(SPLITS))
    errors = [reward.error for reward in (*right, *empty) if reward.error]
    return {
        "references_without_reward": sum(reward.value != 1 for reward in right),
        "rewards_of_nothing": sum(reward.value == 1 for reward in empty),
        "verifiers_that_fail": len(errors),
        "unknown_values": unknown.select(pl.len()).collect().item(),
        "references_graded": len(right),
        "prompts_graded": len(empty),
        "example": next(iter(errors), ""),
    }


def _as_answer(row: dict[str, Any], text: str) -> str:
    """A text as a model would write it after the prompt: after its thought, if it is to think."""
    import json

    return f"\n</think>\n\n{text}" if thinks(json.loads(row["messages"])) else text
