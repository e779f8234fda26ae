"""Limits of the programs that decide whether an answer is right."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.code.qa import CodeExecution
from nemotron_assets.recipe.section import Section


class Grading(Section):
    """Limits of the graders. An answer at a limit has no verdict; for the reward of a policy it is wrong."""

    answer_s: float = Field(
        10.0,
        gt=0,
        le=3_600,
        description="longest time for one answer, in seconds, without waits for a core (default)",
    )
    start_s: float = Field(
        300.0, gt=0, le=3_600, description="longest start of a grader's process, in seconds (default)"
    )
    memory_mb: int = Field(1_024, ge=256, description="most memory of a grader's process, in MiB (default)")
    max_characters: int = Field(
        20_000,
        ge=100,
        description="longest answer that is graded, in characters (default)",
    )
    code: CodeExecution = Field(
        CodeExecution(run="where_possible"),
        description="how code is run against its tests: languages, limits, what a machine without a sandbox does",
    )
