"""`nemotron recipe`: prints the recipe in force as YAML, with the meaning of every value if asked."""

from __future__ import annotations

import inspect
from typing import Any

import click
import yaml
from pydantic_core import to_jsonable_python

from nemotron_assets.recipe import Recipe, RecipeError, Section, current_recipe
from nemotron_assets.recipe.load import allowed_values, new_name


def recipe_command(section: str | None, explain: bool) -> None:
    """Print the recipe or one section of it. Raises `RecipeError` for a section that does not exist; for an old name,
    the message gives the new one."""
    try:
        section = section and section.replace("/", ".")
        click.echo(recipe_text(current_recipe(), section, explain))
    except KeyError as error:
        raise RecipeError((section and new_name(section)) or error.args[0]) from None


def recipe_text(recipe: Recipe, section: str | None, explain: bool) -> str:
    """The recipe, or a dotted section of it ("train.base"), as YAML.

    With `explain`, each value has a comment with its meaning and the range that is allowed. Raises KeyError for an
    unknown section.
    """
    value: Any = recipe.section(section) if section else recipe
    if not isinstance(value, Section):
        shown = yaml.safe_dump(to_jsonable_python(value), default_flow_style=True).strip().removesuffix("...").strip()
        return f"{section}: {shown}"
    if not explain:
        return yaml.safe_dump(value.model_dump(mode="json"), sort_keys=False, allow_unicode=True).rstrip()
    return "\n".join(_explained(value, ""))


def _explained(section: Section, indent: str) -> list[str]:
    """The lines of a section with comments; nested sections are indented and begin with their docstring."""
    lines, plain = [], to_jsonable_python(section)
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            meaning = field.description or inspect.cleandoc(type(value).__doc__ or "")
            lines += ["", *(f"{indent}# {line}" for line in meaning.splitlines() if line), f"{indent}{name}:"]
            lines += _explained(value, indent + "  ")
        else:
            allowed = allowed_values(type(section), name)
            shown = yaml.safe_dump(plain[name], default_flow_style=True, width=1000).removesuffix("...\n").strip()
            lines.append(f"{indent}{name}: {shown}  # {field.description}" + (f" ({allowed})" if allowed else ""))
    return lines
