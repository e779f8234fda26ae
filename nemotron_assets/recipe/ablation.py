"""An ablation: one change of the recipe, the model that it is judged by, and how it is measured."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from nemotron_assets.recipe.load import read_mapping
from nemotron_assets.recipe.section import RecipeError, Section

_FOLDER = "recipes/ablations"


class Ablation(Section):
    """One change of the recipe. Two models are trained with every seed: with the recipe as it is, and with the change.
    Everything that the change does not concern is read from the lake and not made again."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,47}$", description="name of the ablation")
    question: str = Field(min_length=10, description="what the ablation asks, as a sentence")
    change: dict[str, Any] = Field(
        min_length=1, description="the values that are changed, by their dotted names: {web.dedup.enabled: false}"
    )
    both: dict[str, Any] = Field({}, description="values that both sides have, in place of those of the recipe")
    model: str = Field(pattern=r"^models\.[a-z0-9_]+$", description="table of the model that is trained and measured")
    training: str = Field(description="section of the recipe with the training of this model: train.base")
    tokens: int = Field(ge=64, description="tokens that every model is trained on, padding included")
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        min_length=2, description="seeds of the initial weights and of the order of the data; each gives a pair"
    )
    keep: tuple[str, ...] = Field(
        (),
        description="tables that are not made again although the change concerns them, so that only one thing differs",
    )
    measures: tuple[Literal["texts", "suite", "budgets"], ...] = Field(
        min_length=1,
        description="texts: bits per byte of held-out texts by kind; suite: right answers to held-out items of the "
        "suite; budgets: right answers within thinking budgets",
    )

    @field_validator("seeds")
    @classmethod
    def _once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"{', '.join(map(str, seeds))}: give every seed once")
        return seeds


def built_in() -> list[str]:
    """The names of the ablations that come with the project."""
    folder = resources.files("nemotron_assets") / _FOLDER
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def load_ablation(name_or_path: str) -> Ablation:
    """Read an ablation: a built-in name or the path of a YAML file. Raises `RecipeError`."""
    path = Path(name_or_path)
    if name_or_path in built_in():
        path = Path(str(resources.files("nemotron_assets") / _FOLDER / f"{name_or_path}.yaml"))
    elif not path.is_file():
        raise RecipeError(
            f"there is no ablation {name_or_path!r}: give the path of a YAML file, or one of: {', '.join(built_in())}"
        )
    try:
        return Ablation.model_validate(read_mapping(path))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise RecipeError(f"ablation {name_or_path}: {found}") from None
