"""Numbers of the problems and solutions that a language model writes about snippets of code.

The method is published (Nemotron Nano 2 §2.2.2, Nemotron-H §2.3). The list of the eleven languages, the sampling and
the limits are not.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section

Language = Literal["Python", "C", "C++", "C#", "Java", "JavaScript", "TypeScript", "Go", "Rust", "PHP", "SQL"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


class CodeSnippets(Section):
    """Snippets: short pieces of curated code, usually one small function (Nemotron-H §2.3: 1 to 15 lines)."""

    min_lines: int = Field(1, ge=1, le=100, description="fewest lines of a snippet that are not blank (published: 1)")
    max_lines: int = Field(15, ge=1, le=200, description="most lines of a snippet that are not blank (published: 15)")
    min_characters: int = Field(
        24,
        ge=1,
        description="shortest snippet that is used, in characters; there is too little in a shorter one to write about "
        "(default)",
    )
    max_characters: int = Field(
        1_500, ge=40, le=20_000, description="longest snippet that is used, in characters (default)"
    )
    max_file_kb: int = Field(
        512, ge=1, le=8_192, description="largest file that snippets are taken from, in KiB (default)"
    )
    per_file: int | None = Field(
        ge=1, description="most snippets taken from one file, those with the lowest content hashes; null for all"
    )
    per_language: int | None = Field(
        ge=1, description="most snippets of one language, those with the lowest content hashes; null for all"
    )
    batch_rows: int = Field(64, ge=1, le=4_096, description="files handed to a worker process at a time (default)")


class CodeProgram(Section):
    """How a program in one language is run in the sandbox."""

    file: str = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
        max_length=100,
        description="name of the file that the code is written to, such as main.py",
    )
    command: tuple[str, ...] = Field(
        min_length=1,
        description="program, by its absolute path, and its arguments; {python} stands for the Python of this project",
    )
    reads: tuple[str, ...] = Field((), description="folders outside /usr that the program may read")


class CodeExecution(Section):
    """Execution of solutions in a sandbox; for the published set nothing was executed (Nano 2 §2.2.2)."""

    run: Literal["off", "on", "where_possible"] = Field(
        description="whether solutions are run. off: no solution (published); on: all, and the step fails on a machine "
        "that has no sandbox; where_possible: all, and on a machine that has no sandbox the rows say not_run"
    )
    failing: Literal["keep", "drop"] = Field(
        "keep",
        description="what becomes of a solution that fails or exceeds a limit. keep: it is kept with its outcome; "
        "drop: the snippet is tried again, and dropped after the last attempt (default)",
    )
    languages: dict[Language, CodeProgram] = Field(
        {"Python": CodeProgram(file="main.py", command=("{python}", "main.py"))},
        validate_default=True,
        description="languages whose solutions are run, with the command for each (default: Python)",
    )
    cpu_s: int = Field(
        10, ge=1, le=3_600, description="most CPU time of a program and its child processes, in seconds (default)"
    )
    wall_s: float = Field(
        120,
        gt=0,
        le=7_200,
        description="longest time of a program by the clock, in seconds; long, as a busy machine is slow (default)",
    )
    memory_mb: int = Field(512, ge=32, description="most memory of a program, in MiB (default)")
    processes: int = Field(16, ge=1, le=4_096, description="most processes and threads of a program (default)")
    disk_mb: int = Field(
        16, ge=1, description="most that a program can write to files, in MiB; its disk is in memory (default)"
    )
    files: int = Field(
        2_048, ge=16, description="most files, folders and links that a program may have at a time (default)"
    )
    output_kb: int = Field(64, ge=1, description="most output of a program, in KiB (default)")
    programs: int = Field(2, ge=1, le=1_024, description="number of programs that run side by side (default)")

    @field_validator("run", mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        """YAML reads the bare words on and off as true and false: turn them back into words."""
        return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


class CodeQa(Section):
    """Problems inspired by snippets of code, and their solutions; two requests to the language model for each."""

    languages: tuple[Language, ...] = Field(
        LANGUAGES,
        min_length=1,
        description="languages of the snippets, each a partition of code.qa (published: eleven languages, but not "
        "which; these are likely)",
    )
    snippets: CodeSnippets
    attempts: int = Field(
        ge=1, le=32, description="how often a snippet is tried until a problem and its solution are good (default)"
    )
    temperature: float = Field(
        0.8, ge=0, le=2, description="sampling temperature; a higher one gives more varied answers (default)"
    )
    top_p: float = Field(
        0.95,
        gt=0,
        le=1,
        description="nucleus sampling: only the most likely tokens that together have this probability are drawn "
        "(default)",
    )
    max_snippet_tokens: int = Field(ge=16, description="longest snippet that is used, in tokens (default)")
    max_problem_tokens: int = Field(ge=16, description="longest problem, in tokens (default)")
    max_problem_lines: int = Field(
        ge=1, le=200, description="most lines of a problem that the output grammar allows (default)"
    )
    max_problem_line: int = Field(
        ge=40, le=8_000, description="longest line of a problem that the output grammar allows, in characters (default)"
    )
    min_problem_characters: int = Field(40, ge=1, description="shortest problem that is kept, in characters (default)")
    max_solution_tokens: int = Field(ge=32, description="longest solution, in tokens (default)")
    max_explanation_line: int = Field(
        ge=40,
        le=8_000,
        description="longest line of the explanation around the code that the output grammar allows, in characters "
        "(default)",
    )
    max_code_lines: int = Field(
        ge=2, le=1_000, description="most lines of code in a solution that the output grammar allows (default)"
    )
    min_code_characters: int = Field(
        16, ge=1, description="shortest code of a solution that is kept, in characters (default)"
    )
    grammar: Literal["free", "small"] = Field(
        description="output grammar of solutions. free: a sentence, any code in a fence, and explanations; small: the "
        "code is one small function or query, for a weak model that makes errors in longer code (default)"
    )
    ngram: int = Field(
        13,
        ge=3,
        le=64,
        description="a sample that shares so many words in a row with a benchmark item is dropped (default)",
    )
    min_words: int = Field(5, ge=3, description="benchmark questions with fewer words are not looked for (default)")
    benchmarks: tuple[str, ...] = Field(
        ("humaneval", "mbpp"),
        description="benchmarks in the table evaluate.benchmarks whose items may not stand in a sample (default)",
    )
    execution: CodeExecution
    batch_snippets: int = Field(
        512, ge=1, le=65_536, description="snippets that are worked on together; more need more memory (default)"
    )

    @field_validator("languages")
    @classmethod
    def _once(cls, languages: tuple[Language, ...]) -> tuple[Language, ...]:
        if len(set(languages)) < len(languages):
            doubled = sorted({name for name in languages if languages.count(name) > 1})
            raise ValueError(f"{', '.join(doubled)}: name each language once")
        return languages
