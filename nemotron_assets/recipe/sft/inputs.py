"""Seeds of the SFT data: questions, passages and tasks that a model is shown."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section

#: The model of models.generator, as the lists of generators name it.
GENERATOR = "generator"


class SftInputs(Section):
    """Seeds: every file <name>.jsonl of a folder is a set of seeds. Published seeds: GSM8K, MATH, AoPS, Stemez and
    OpenStax (STEM), LSAT, LogiQA and AQuA-RAT (reasoning)."""

    folder: str = Field(
        "sample",
        description="folder with the files of seeds; 'sample' is the embedded one. A set that the folder does not have "
        "(logical, analytical, reading, math_problems, first_sums, code_tasks, first_functions, moral_situations, "
        "social_sciences, health) is taken from the project, which has a few seeds of each",
    )


def generators(default: tuple[str, ...] = (GENERATOR,)) -> tuple[str, ...]:
    """A recipe field: the language models that write a table."""
    return Field(
        default,
        min_length=1,
        description="language models that write the rows: generator (the model of models.generator), 'embedded', a "
        "folder, or a Hugging Face id; with llm.engine openai the names of models that the endpoint serves",
    )
