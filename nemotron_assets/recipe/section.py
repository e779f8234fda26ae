"""The base class of every section of the recipe, and the error for a recipe that cannot be used."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from nemotron_assets.recipe.addresses import WithoutSecrets


class RecipeError(WithoutSecrets, ValueError):
    """A recipe that cannot be used. The message names the key, its value and what is allowed."""


class Section(BaseModel):
    """A part of the recipe. It cannot be changed once it is made. An unknown key is an error, and so is a number that
    is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_value_as_number(cls, values: Any) -> Any:
        """Refuse `max_warc_files: true`, which pydantic would read as 1."""
        given = values.items() if isinstance(values, dict) else ()
        for name in [name for name, value in given if isinstance(value, bool) and name in cls.model_fields]:
            if cls.model_fields[name].annotation in (int, float):
                raise PydanticCustomError(
                    "truth_value",
                    "{name} = {value}: a number is expected, not true, false, yes, no, on or off",
                    {"name": name, "value": str(values[name])},
                )
        return values
