"""Where conversations and prompts of the post-training come from, and which copies of them are made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.align.sources import SFT_TABLES
from nemotron_assets.recipe.section import Section

Domain = Literal["math", "code", "science", "tools", "chat", "safety", "multilingual"]
TaskKind = Literal["single_turn", "multi_step", "multi_turn", "no_tool"]

InstructionKind = Literal[
    "keywords:existence", "keywords:frequency", "keywords:forbidden_words", "keywords:letter_frequency",
    "language:response_language", "length_constraints:number_sentences", "length_constraints:number_paragraphs",
    "length_constraints:number_words", "length_constraints:nth_paragraph_first_word",
    "detectable_content:number_placeholders", "detectable_content:postscript",
    "detectable_format:number_bullet_lists", "detectable_format:constrained_response",
    "detectable_format:number_highlighted_sections", "detectable_format:multiple_sections",
    "detectable_format:json_format", "detectable_format:title", "combination:two_responses",
    "combination:repeat_prompt", "startend:end_checker", "startend:quotation", "change_case:capital_word_frequency",
    "change_case:english_capital", "change_case:english_lowercase", "punctuation:no_comma",
]  # fmt: skip

_SHARE = "share of the suite's items that have their steps as a thought, 0 to 1 (default)"


class SftSource(Section):
    """What is taken of one table of SFT data. Failed rows are never taken."""

    share: float = Field(1.0, ge=0, le=1, description="share of the rows, 0 to 1; their ids decide which (default)")
    max_rows: int | None = Field(None, ge=0, description="most rows; null: no limit (default)")
    unverified: bool = Field(False, description="whether rows whose answer nothing verified are taken, too (default)")


class FileSource(Section):
    """A local file with conversations in the chat format: JSON lines or Parquet, with a column `messages`."""

    path: str = Field(min_length=1, description="file, or folder whose *.jsonl and *.parquet files are read")
    domain: Domain = Field("chat", description="domain of conversations that name none (default)")
    max_rows: int | None = Field(None, ge=0, description="most conversations of each file; null: no limit (default)")


class HubSource(Section):
    """A data set of the Hugging Face hub with a column of messages. It needs a network."""

    dataset: str = Field(
        pattern=r"^[\w.-]+/[\w.-]+$", description="name of the data set: nvidia/Nemotron-Post-Training-Dataset-v1"
    )
    config: str | None = Field(None, description="config of the data set; null: the only one, or the default (default)")
    split: str = Field("train", description="split of the data set (default)")
    domain: Domain = Field(description="domain of its conversations")
    column: str = Field("messages", description="column with the messages, a list of role and content (default)")
    answer: str | None = Field(
        None, description="column with the last answer, if it is not one of the messages; null: it is (default)"
    )
    where: dict[str, str] = Field({}, description="values that rows must have in other columns (default: none)")
    language: str = Field("en", description="language code of its conversations (default)")
    max_rows: int | None = Field(None, ge=0, description="most rows; null: all (default)")


class Safety(Section):
    """The two-step filter of safety data: a model says whether a request is harmful, and whether the response to it is
    right: a refusal with help for a harmful request, help for a benign one (Nano 2 §3.1)."""

    judge: str | None = Field(
        None,
        description="language model, one of those that write SFT data, that classifies and judges: generator; null: "
        "only conversations with a label (harmful) are taken (default; published: guard models)",
    )
    max_characters: int = Field(
        4_000, ge=100, description="longest request, and longest response, that is judged, in characters (default)"
    )


class Playing(Section):
    """A language model that plays the user and the assistant in tasks with tools."""

    model: str = Field(
        "generator",
        description="language model, one of those that write SFT data, that plays both roles (published: "
        "Qwen3-235B-A22B)",
    )
    temperature: float = Field(0.6, ge=0, le=2, description="sampling temperature (default)")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling (default)")
    max_output_tokens: int = Field(512, ge=16, description="most tokens of a message (default)")
    max_steps: int = Field(
        12,
        ge=1,
        le=100,
        description="most messages of the assistant in a conversation; then it counts as lost (default)",
    )


class Tools(Section):
    """Tasks in a small office with an API of its own (in the manner of WorkBench): calendar, mail, files, customers."""

    tasks: dict[TaskKind, int] = Field(
        {"single_turn": 100, "multi_step": 100, "multi_turn": 50, "no_tool": 10},
        description="number of tasks by kind (default; published: 400,000 samples of all kinds, from other APIs)",
    )
    thinking_share: float = Field(0.5, ge=0, le=1, description="share of the tasks with thoughts, 0 to 1 (default)")
    more_tools: int = Field(1, ge=0, le=12, description="tools that are offered beside those of the task (default)")
    seed: int = Field(42, ge=0, le=1_000_000, description="seed of the tasks (default)")
    playing: Playing | None = Field(
        None,
        description="a language model that plays the tasks; conversations that solve theirs are taken beside the "
        "scripted ones, and only conversations are played, not prompts; null: scripted ones alone (default)",
    )


class Copies(Section):
    """Further copies of conversations."""

    no_think_share: float = Field(
        0.10,
        ge=0,
        le=1,
        description="share of the conversations with a thought that stand a second time with an empty thought and "
        "/no_think (published: about 0.10, Nano 2 §3.2)",
    )
    truncated_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of the conversations with a thought that stand a second time with a thought cut at a random "
        "number of tokens and the whole answer; stage 3 learns them (published: about 0.05, Nano 2 §3.2)",
    )
    truncated_tokens: tuple[int, int] = Field(
        (1_000, 2_000),
        description="fewest and most tokens of a cut thought; a shorter one is not cut (published: 1 to 2 thousand)",
    )
    long_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of the conversations that also become part of a long one: several, one after the other, "
        "with later turns that refer back to earlier ones (method published, share not)",
    )
    long_tokens: tuple[int, int] = Field(
        (131_072, 131_072),
        description="fewest and most tokens of a long conversation; its length is drawn between them (default: the "
        "sequence length of stage 3; analogue: 128k to 512k, Minitron-SSM)",
    )
    questions_back: int = Field(
        2, ge=1, le=64, description="turns of a long conversation that refer back to an earlier turn (default)"
    )

    @model_validator(mode="after")
    def _ranges_are_in_order(self) -> Copies:
        for name in ("truncated_tokens", "long_tokens"):
            first, last = getattr(self, name)
            if not 0 < first <= last:
                raise ValueError(f"{name} is {first} to {last}: the first must be at least 1 and at most the second")
        return self


def _all_tables() -> dict[str, SftSource]:
    return {name: SftSource() for name in SFT_TABLES}


def _known(tables: dict[str, SftSource]) -> dict[str, SftSource]:
    if unknown := sorted(set(tables) - set(SFT_TABLES)):
        raise ValueError(f"{unknown[0]!r} is not a table of SFT data, which are: {', '.join(SFT_TABLES)}")
    return tables


class Conversations(Section):
    """The conversations that the supervised stages learn from."""

    thinking_share: float = Field(0.25, ge=0, le=1, description=_SHARE)
    own: bool = Field(True, description="whether the conversations that come with the project are taken (default)")
    sft: dict[str, SftSource] = Field(
        default_factory=_all_tables, description="tables of SFT data, by name, and what is taken of each (default: all)"
    )
    files: tuple[FileSource, ...] = Field((), description="local files with conversations (default: none)")
    hub: tuple[HubSource, ...] = Field((), description="data sets of the Hugging Face hub (default: none)")
    safety: Safety = Safety()
    tools: Tools = Tools()
    copies: Copies = Copies()
    checked_rows: int = Field(
        500,
        ge=1,
        description="conversations, those with the lowest ids, whose form and tokens a check looks at (default)",
    )

    @field_validator("sft")
    @classmethod
    def _tables(cls, tables: dict[str, SftSource]) -> dict[str, SftSource]:
        return _known(tables)


class Instructions(Section):
    """Instructions of IFEval's kinds that are added to requests, each with a program that checks it."""

    prompts: int = Field(
        64, ge=0, description="number of prompts with instructions (default; published: 16,000 requests of LMSYS)"
    )
    most: int = Field(
        3, ge=1, le=10, description="most instructions of a prompt (default; analogue: 1 to 10, Llama-Nemotron)"
    )
    kinds: tuple[InstructionKind, ...] | None = Field(
        None, min_length=1, description="IFEval's names of the instructions that are used; null: all (default)"
    )
    requests: tuple[HubSource, ...] = Field(
        (),
        description="data sets whose first user messages are the requests; none: requests of the project's own "
        "conversations (published: LMSYS-Chat-1M)",
    )
    seed: int = Field(42, ge=0, description="seed of the choice of instructions (default)")


class Prompts(Section):
    """The prompts that policies are asked."""

    thinking_share: float = Field(0.25, ge=0, le=1, description=_SHARE)
    sft: dict[str, SftSource] = Field(
        {"sft.procedural": SftSource(), "sft.math_sft": SftSource(), "sft.code_sft": SftSource()},
        description="tables of SFT data whose questions have a program that checks the answer (default)",
    )
    instructions: Instructions = Instructions()
    tools: Tools = Tools(tasks={"single_turn": 40, "multi_step": 40, "multi_turn": 20}, seed=500_000)
    contexts: tuple[HubSource, ...] = Field(
        (),
        description="data sets whose conversations end with a user's message, for preferences; none: the project's own "
        "conversations (published: English contexts of HelpSteer3)",
    )
    no_think_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the prompts, beside those of the suite, that ask for an answer without a thought "
        "(default; published: both kinds, share not)",
    )
    held_out_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="share of the prompts that are only scored, where their source has no split of its own (default)",
    )

    min_held_out: int = Field(
        500,
        ge=0,
        description="a check fails if fewer verifiable prompts are held out: with fewer, a small difference between "
        "two models cannot be told from chance (default)",
    )
    checked_rows: int = Field(
        50,
        ge=1,
        description="prompts of each part, those with the lowest ids, whose reference a check grades (default)",
    )

    @field_validator("sft")
    @classmethod
    def _tables(cls, tables: dict[str, SftSource]) -> dict[str, SftSource]:
        return _known(tables)
