"""Reading recipes: built-in ones, own files that extend them, and errors that name the key and what is allowed."""

from __future__ import annotations

import functools
import os
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nemotron_assets.recipe.math.pages import Math as MathPages
from nemotron_assets.recipe.root import Recipe
from nemotron_assets.recipe.section import RecipeError, Section

BUILT_IN = ("laptop", "nano2")

#: Sections that used to stand elsewhere, by the name that an older recipe file gives them.
MOVED = {
    "crawl": "snapshots.crawl", "pages": "snapshots.pages", "documents": "web.documents", "dedup": "web.dedup",
    "substring": "web.substring", "quality": "web.quality", "measures": "web.measures", "heuristics": "web.heuristics",
    "perplexity": "web.perplexity", "rephrased": "web.rephrased", "diverse_qa": "web.diverse_qa",
    "translation": "web.translation", "math_corpus": "math.corpus", "code_sources": "code.sources",
    "code_dedup": "code.dedup", "code_licences": "code.licences", "code_quality": "code.quality", "code_qa": "code.qa",
    "pretrain": "train.base", "evaluate.gsm8k_shots": "evaluate.tasks", "evaluate.arc_shots": "evaluate.tasks",
    **{f"math.{name}": f"math.pages.{name}" for name in MathPages.model_fields},
}  # fmt: skip


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe: a built-in name or the path of a YAML file. Raises `RecipeError`."""
    try:
        return Recipe.model_validate(_read(name_or_path, seen=()))
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(e)}" for e in error.errors(include_url=False))
        raise RecipeError(f"recipe {name_or_path}:\n{problems}") from None


@functools.lru_cache(maxsize=1)
def current_recipe() -> Recipe:
    """The recipe named by `NEMOTRON_RECIPE` (default: laptop), read once per process."""
    return load_recipe(os.environ.get("NEMOTRON_RECIPE") or "laptop")


def _read(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name_or_path in seen:
        raise RecipeError(f"recipe {name_or_path} extends itself: {' -> '.join((*seen, name_or_path))}")
    if name_or_path in BUILT_IN:
        text = (resources.files("nemotron_assets") / "recipes" / f"{name_or_path}.yaml").read_text()
    else:
        path = Path(name_or_path)
        if not path.is_file():
            raise RecipeError(f"no recipe {name_or_path!r}: it is neither {' nor '.join(BUILT_IN)} nor a file")
        text = path.read_text()
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {name_or_path} is not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise RecipeError(f"recipe {name_or_path} is not a mapping of sections")
    parent = data.pop("extends", None)
    return _merge(_read(str(parent), (*seen, name_or_path)), data) if parent else data


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _problem(error: Any) -> str:
    """One validation error as: key, what is wrong, the value, and what is allowed."""
    where = ".".join(str(part) for part in error["loc"])
    if not where:  # between sections
        return error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        if where in MOVED:
            return f"{where} is now {MOVED[where]}: write it there"
        parent = _section_class(error["loc"][:-1])
        return f"{where}: unknown key; this section knows: {', '.join(parent.model_fields) if parent else 'none'}"
    if error["type"] == "missing":
        return f"{where}: missing"
    allowed = _allowed(error["loc"])
    return f"{where} = {error['input']!r}: {error['msg']}" + (f" (allowed: {allowed})" if allowed else "")


def _section_class(loc: tuple[Any, ...]) -> type[Section] | None:
    current: Any = Recipe
    for name in loc:
        field = current.model_fields.get(name)
        current = field.annotation if field else None
        if not (isinstance(current, type) and issubclass(current, Section)):
            return None
    return current


def _allowed(loc: tuple[Any, ...]) -> str:
    parent = _section_class(loc[:-1])
    return allowed_values(parent, loc[-1]) if parent and loc[-1] in parent.model_fields else ""


def allowed_values(section: type[Section], name: str) -> str:
    """The allowed range of a section's field in words, from its schema."""
    schema = section.model_json_schema()["properties"][name]
    options = [schema, *schema.get("anyOf", [])]
    bounds = {
        "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}",
        "exclusiveMaximum": "less than {}", "pattern": "matching {}", "minLength": "at least {} characters",
        "enum": "one of {}", "type": "{}",
    }  # fmt: skip
    return ", ".join(text.format(o[key]) for o in options for key, text in bounds.items() if key in o)
