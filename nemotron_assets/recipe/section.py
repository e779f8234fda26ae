"""The base class of every section of the recipe, and the error for a recipe that cannot be used."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from nemotron_assets.recipe.addresses import WithoutSecrets

#: The smallest and largest number in each field of a cron expression: minute, hour, day, month, day of the week.
_CRON_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")


class RecipeError(WithoutSecrets, ValueError):
    """A recipe that cannot be used. The message names the key, its value and what is allowed."""


class Section(BaseModel):
    """A part of the recipe. It cannot be changed once it is made. An unknown key is an error, and so is a number that
    is not finite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False, defer_build=True
    )

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


def _known_times(text: str) -> str:
    """Refuse what is no cron expression here, where the key is known. Dagster is not asked: it takes long to import."""
    fields = text.split()
    if text in _CRON_NICKNAMES:
        return text
    if len(fields) == len(_CRON_FIELDS) and all(map(_in_range, fields, _CRON_FIELDS)):
        return text
    raise ValueError(
        "this is not a cron expression: give minute, hour, day of the month, month and day of the week, such as "
        "'0 3 * * 1', every Monday at 3 o'clock"
    )


def _in_range(field: str, bounds: tuple[int, int]) -> bool:
    """Whether a field of a cron expression has its form, and numbers within the bounds."""
    names = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
    value = rf"(?:\d{{1,2}}|{names})"
    part = rf"(?:\*|{value}(?:-{value})?)(?:/[1-9]\d?)?"
    if not re.fullmatch(rf"{part}(?:,{part})*", field, re.ASCII | re.IGNORECASE):
        return False
    return all(bounds[0] <= int(number) <= bounds[1] for number in re.findall(r"(?<![/\d])\d+", field))


Cron = Annotated[str, AfterValidator(_known_times)]
"""A cron expression of five fields."""
