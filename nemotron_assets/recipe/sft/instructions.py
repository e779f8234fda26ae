"""Instructions with responses: mathematics, code, general, multilingual."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.code.qa import LANGUAGES, Language
from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.sft.inputs import generators
from nemotron_assets.recipe.sft.sampling import Sampled, Vote


class MathSft(Section):
    """Problems of mathematics with solutions (published: AoPS, GSM8K, PRM800K and pages of FineMath as sources)."""

    generators: tuple[str, ...] = generators()
    seeds: dict[str, tuple[str, ...]] = Field(
        {
            "math_problems": (),
            "stem_questions": ("elementary_mathematics", "high_school_mathematics", "high_school_statistics"),
        },
        description="sets of sft.seeds with problems, and the topics that are used of each; no topic means all. Of "
        "questions with options only those are used whose answer is a number",
    )
    max_seeds: int | None = Field(
        ge=0, description="most problems from seeds, those with the lowest content hashes; null for all (default)"
    )
    max_pages: int | None = Field(
        ge=0,
        description="most pages of math.nemotron_cc_math that a problem is written about, those with the lowest "
        "content hashes; null for all (default)",
    )
    page_characters: int = Field(
        4_000, ge=100, description="characters from the start of a page that a problem is written about (default)"
    )
    writing: Sampled
    solving: Sampled
    vote: Vote
    max_answer: int = Field(
        200, ge=1, le=2_000, description="longest final answer, in characters inside its box (default)"
    )
    batch_questions: int = Field(
        512, ge=1, le=65_536, description="problems that are worked on together; more need more memory (default)"
    )


class CodeSft(Section):
    """Programming tasks with reasoned solutions (published: OpenCodeReasoning, Genetic-Instruct)."""

    generators: tuple[str, ...] = generators()
    seeds: tuple[str, ...] = Field(
        ("code_tasks",), description="sets of sft.seeds with tasks in Python and their tests"
    )
    max_seeds: int | None = Field(
        ge=0, description="most tasks from seeds, those with the lowest content hashes; null for all (default)"
    )
    languages: tuple[Language, ...] = Field(
        LANGUAGES, description="languages of the problems that are taken from code.qa (default)"
    )
    max_problems: int | None = Field(
        ge=0, description="most problems from code.qa, those with the lowest ids; null for all (default)"
    )
    max_task_characters: int = Field(8_000, ge=100, description="longest task that is used, in characters (default)")
    samples: int = Field(ge=1, le=128, description="solutions asked for per task, by every generator (default)")
    solving: Sampled
    max_code_lines: int = Field(
        400, ge=1, le=5_000, description="most lines of code in a solution that the output grammar allows (default)"
    )
    grammar: Literal["free", "small"] = Field(
        "free",
        description="output grammar of solutions. free: any code in a fence; small: one small function, for a weak "
        "model that makes errors in longer code (default)",
    )
    batch_questions: int = Field(
        256, ge=1, le=65_536, description="tasks that are worked on together; more need more memory (default)"
    )


#: Names of the prompts that ask for an instruction (nemotron_assets/sft/instructions/prompts.py).
Writing = Literal["open", "textbook", "dilemma", "science"]


class InstructionSet(Section):
    """One set of general instructions: what they are written from, and how."""

    source: str = Field(
        pattern=r"^(web\.curated|seeds/[a-z0-9_]+)$",
        description="what the instructions are written from: web.curated, or a set of sft.seeds as seeds/health",
    )
    prompt: Writing = Field(
        description="the prompt that asks for an instruction. open: anything a user may ask about the text; textbook: "
        "a question of a student; dilemma: what to do in a situation, and why; science: a question of a curious layman"
    )
    items: int | None = Field(ge=0, description="texts used, those with the lowest content hashes; null for all")
    generators: tuple[str, ...] = generators()
    judge: str | None = Field(
        None,
        description="language model that judges the responses, named as in generators; null: no response is judged, "
        "and the rows are unverified",
    )


class GeneralSft(Section):
    """General instructions with responses, and the small sets (published: 5.7 billion tokens, and 0.5 billion, 327, 84,
    10 and 175 million tokens of small sets)."""

    sets: dict[str, InstructionSet] = Field(description="the sets of instructions by name; a new set needs no code")
    text_characters: int = Field(
        3_000, ge=100, description="characters from the start of a text that an instruction is written about (default)"
    )
    writing: Sampled
    responding: Sampled
    min_characters: int = Field(20, ge=1, description="shortest instruction and response, in characters (default)")
    judging: Sampled = Sampled(temperature=0.0, max_output_tokens=32)
    min_grade: int = Field(4, ge=1, le=5, description="lowest grade of a good response, from 1 to 5 (default)")
    batch_questions: int = Field(
        512, ge=1, le=65_536, description="instructions that are worked on together; more need more memory (default)"
    )


class Instructions(Section):
    """Instructions with responses: mathematics, code, general, multilingual."""

    math: MathSft
    code: CodeSft
    general: GeneralSft

    @model_validator(mode="after")
    def _names_are_known(self) -> Instructions:
        for name in self.general.sets:
            if not name.isidentifier():
                raise ValueError(f"general.sets: {name!r} is not a name of letters, digits and underscores")
        return self
