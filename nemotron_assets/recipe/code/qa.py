"""Problems and solutions that a language model writes about snippets of code (Nemotron Nano 2 §2.2.2, Nemotron-H §2.3).

The method is published; the list of the eleven languages is not, nor are sampling and limits.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section

Language = Literal["Python", "C", "C++", "C#", "Java", "JavaScript", "TypeScript", "Go", "Rust", "PHP", "SQL"]
LANGUAGES: tuple[Language, ...] = (
    "Python", "C", "C++", "C#", "Java", "JavaScript", "TypeScript", "Go", "Rust", "PHP", "SQL",
)  # fmt: skip


class CodeSnippets(Section):
    """Short pieces of curated code (Nemotron-H §2.3: 1 to 15 lines, usually one small function)."""

    min_lines: int = Field(1, ge=1, le=100, description="fewest lines of a snippet that are not blank (published: 1)")
    max_lines: int = Field(15, ge=1, le=200, description="most lines of a snippet that are not blank (published: 15)")
    min_characters: int = Field(24, ge=1, description="shorter snippets say nothing to write about (default)")
    max_characters: int = Field(1_500, ge=40, le=20_000, description="longest snippet, in characters (default)")
    max_file_kb: int = Field(512, ge=1, le=8_192, description="larger files are not parsed, in KiB (default)")
    per_file: int | None = Field(ge=1, description="snippets of one file, those with the lowest hash; null for all")
    per_language: int | None = Field(
        ge=1, description="snippets of one language, those with the lowest hash; null for all"
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="files handed to a worker at a time (default)")


class CodeProgram(Section):
    """How the code of a language is run in the sandbox."""

    file: str = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=100, description="name of the file that has the code"
    )
    command: tuple[str, ...] = Field(
        min_length=1, description="program by its absolute path, and arguments; {python} is this project's Python"
    )
    reads: tuple[str, ...] = Field((), description="folders outside of /usr that the program needs, read-only")


class CodeExecution(Section):
    """Execution of solutions in a sandbox. The published set was made without (Nano 2 §2.2.2)."""

    run: Literal["off", "on", "where_possible"] = Field(
        description="off: nothing is run (published); on: without a sandbox the step fails; where_possible: without "
        "one, rows say so"
    )
    failing: Literal["keep", "drop"] = Field(
        "keep",
        description="whether a solution that fails or takes too much is kept with its outcome, or tried again "
        "and in the end dropped (default)",
    )
    languages: dict[Language, CodeProgram] = Field(
        {"Python": CodeProgram(file="main.py", command=("{python}", "main.py"))},
        validate_default=True,
        description="languages whose solutions are run, and how (default: Python)",
    )
    cpu_s: int = Field(10, ge=1, le=3_600, description="most CPU time of a program and its children, in s (default)")
    wall_s: float = Field(
        120,
        gt=0,
        le=7_200,
        description="longest time of a program, in s; generous, as it depends on what else the machine does (default)",
    )
    memory_mb: int = Field(512, ge=32, description="most memory of a program, in MiB (default)")
    processes: int = Field(16, ge=1, le=4_096, description="most processes and threads of a program (default)")
    disk_mb: int = Field(16, ge=1, description="most a program can write, in MiB of memory (default)")
    output_kb: int = Field(64, ge=1, description="most a program can print, in KiB (default)")
    programs: int = Field(2, ge=1, le=1_024, description="programs run side by side (default)")

    @field_validator("run", mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        """YAML reads the bare words on and off as truth values."""
        return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


class CodeQa(Section):
    """Problem and solution per snippet, in two requests."""

    languages: tuple[Language, ...] = Field(
        LANGUAGES,
        min_length=1,
        description="languages that are written about, each a partition of code.qa "
        "(published: eleven, not which; these are the likely ones)",
    )
    snippets: CodeSnippets
    attempts: int = Field(
        ge=1, le=32, description="times a snippet is tried, with another sample number each (default)"
    )
    temperature: float = Field(0.8, ge=0, le=2, description="sampling temperature (default)")
    top_p: float = Field(0.95, gt=0, le=1, description="nucleus sampling (default)")
    max_snippet_tokens: int = Field(ge=16, description="longer snippets are not written about, in tokens (default)")
    max_problem_tokens: int = Field(ge=16, description="longest problem, in the generator's tokens (default)")
    max_problem_lines: int = Field(ge=1, le=200, description="most lines of a problem, by its grammar (default)")
    max_problem_line: int = Field(ge=40, le=8_000, description="longest line of a problem, in characters (default)")
    min_problem_characters: int = Field(40, ge=1, description="shorter problems are dropped (default)")
    max_solution_tokens: int = Field(ge=32, description="longest solution, in the generator's tokens (default)")
    max_explanation_line: int = Field(
        ge=40, le=8_000, description="longest line around the code of a solution, in characters (default)"
    )
    max_code_lines: int = Field(ge=2, le=1_000, description="most lines of the code in a solution (default)")
    min_code_characters: int = Field(16, ge=1, description="shorter code is dropped (default)")
    grammar: Literal["free", "small"] = Field(
        description="free: a sentence, fenced code of any kind, and explanations; small: the code is one small "
        "function or query, for models too weak to write more without errors (default)"
    )
    ngram: int = Field(13, ge=3, le=64, description="words in a row that a benchmark item may not share (default)")
    min_words: int = Field(5, ge=3, description="shorter benchmark questions are not looked for (default)")
    benchmarks: tuple[str, ...] = Field(
        ("humaneval", "mbpp"), description="sets of evaluate.benchmarks whose items may not stand in a sample (default)"
    )
    execution: CodeExecution
    batch_snippets: int = Field(512, ge=1, le=65_536, description="snippets in work together; bounds memory (default)")

    @field_validator("languages")
    @classmethod
    def _once(cls, languages: tuple[Language, ...]) -> tuple[Language, ...]:
        if len(set(languages)) < len(languages):
            raise ValueError("a language stands in the list twice")
        return languages
