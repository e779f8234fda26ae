"""The base class of every section of the recipe, and the error for a recipe that cannot be used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RecipeError(ValueError):
    """A recipe that cannot be used. The message names the key, its value and what is allowed."""


class Section(BaseModel):
    """A part of the recipe. It cannot be changed once it is made, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
