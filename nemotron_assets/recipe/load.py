"""Reads recipes: built-in ones, files of your own that extend them; errors name the key and what is allowed."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nemotron_assets.recipe.math.pages import MathPages
from nemotron_assets.recipe.root import Recipe
from nemotron_assets.recipe.section import RecipeError, Section

BUILT_IN = ("laptop", "nano2")

#: {key that older recipe files have: the key that replaced it}, both with dots. An old key is refused by its new name.
MOVED = {
    "crawl": "snapshots.crawl", "pages": "snapshots.pages", "documents": "web.documents", "dedup": "web.dedup",
    "substring": "web.substring", "quality": "web.quality", "measures": "web.measures", "heuristics": "web.heuristics",
    "perplexity": "web.perplexity", "rephrased": "web.rephrased", "diverse_qa": "web.diverse_qa",
    "translation": "web.translation", "math_corpus": "math.corpus", "code_sources": "code.sources",
    "code_dedup": "code.dedup", "code_licences": "code.licences", "code_quality": "code.quality", "code_qa": "code.qa",
    "pretrain": "train.base", "evaluate.gsm8k_shots": "evaluate.tasks", "evaluate.arc_shots": "evaluate.tasks",
    "evaluate.models.benchmark_scores": "evaluate.models.texts",
    **{f"math.{name}": f"math.pages.{name}" for name in MathPages.model_fields},
}  # fmt: skip
#: Errors of values that may be secrets: their messages do not show the value.
_HIDDEN = ("address", "secret")
#: {key that older recipe files have: how its value is written in the list of tasks that replaced it}
_TASKS = {
    "evaluate.gsm8k_shots": "[{name: gsm8k, shots: 3}]",
    "evaluate.arc_shots": "[{name: arc_challenge, shots: 25}]",
}


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe: a built-in name or the path of a YAML file. Raises `RecipeError`."""
    return _validated(_read(name_or_path, seen=()), name_or_path)


def changed_recipe(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """A recipe with other values, given by their dotted names as in a recipe file. Raises `RecipeError`."""
    data = recipe.model_dump()
    for dotted, value in values.items():
        *sections, name = dotted.split(".")
        here = data
        for section in sections:
            here = here.get(section) if isinstance(here.get(section), dict) else here.setdefault(section, {})
        here[name] = value
    return _validated(data, f"{recipe.name}, changed") if values else recipe


def _validated(data: dict[str, Any], name_or_path: str) -> Recipe:
    """The recipe that the values make. Raises `RecipeError`, which names `name_or_path` and every wrong key."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    missing = [str(e["loc"][0]) for e in errors if e["type"] == "missing" and len(e["loc"]) == 1]
    # Who forgot `extends` needs this one hint, not a line for every section.
    problems = [_without_extends(missing)] if len(missing) > 1 else []
    problems += [_problem(e) for e in errors if not (problems and e["type"] == "missing")]
    raise RecipeError(f"recipe {name_or_path}:\n" + "\n".join(f"  {problem}" for problem in problems))


@functools.lru_cache(maxsize=1)
def current_recipe() -> Recipe:
    """The recipe that the environment variable `NEMOTRON_RECIPE` names (default: laptop), read once per process."""
    return load_recipe(os.environ.get("NEMOTRON_RECIPE") or "laptop")


def _read(name_or_path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """The values of a recipe file, merged over those of the recipe that it extends. `seen`: the files on the way."""
    if name_or_path in seen:
        raise RecipeError(f"recipe {name_or_path} extends itself: {' -> '.join((*seen, name_or_path))}")
    if name_or_path in BUILT_IN:
        data = read_mapping(resources.files("nemotron_assets") / "recipes" / f"{name_or_path}.yaml")
    else:
        path = Path(name_or_path)
        if not path.is_file():
            raise RecipeError(
                f"there is no recipe {name_or_path!r}: give {' or '.join(BUILT_IN)}, or the path of a YAML file"
            )
        data = read_mapping(path)
    parent = data.pop("extends", None)
    if not parent:
        return data
    beside = Path(name_or_path).parent / str(parent)  # a recipe means the file beside it, wherever the command runs
    found = str(beside) if parent not in BUILT_IN and beside.is_file() else str(parent)
    return _merge(_read(found, (*seen, name_or_path)), data)


def read_mapping(path: Any) -> dict[str, Any]:
    """The mapping in a YAML file. Raises `RecipeError`, which names the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path} cannot be read as a text in UTF-8: {error}") from None
    try:
        data = yaml.load(text, _UniqueKeys)
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"recipe {path} is not valid YAML: {_yaml_problem(error)}") from None
    if not isinstance(data, dict):
        raise RecipeError(
            f"recipe {path} is not a mapping: it needs sections with values, as `model: {{hidden_size: 128}}`"
        )
    return data


class _UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # libyaml is five times faster
    """Reads YAML, but refuses a key that stands twice in one section: YAML would forget the values of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = []
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice in one section; write it once", key.start_mark
                )
            seen.append(key.value)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: Exception) -> str:
    """What is wrong in a YAML file, and where. The line itself is not quoted, because it may hold a password."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _without_extends(missing: list[str]) -> str:
    return (
        f"the sections {', '.join(missing)} are missing: begin the file with `extends: {BUILT_IN[0]}` (or another "
        "recipe), and name only the values that differ"
    )


def _problem(error: Any) -> str:
    """One validation error as text: the key, its value, what is wrong, and what is allowed."""
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] in _HIDDEN:
        return f"{where}: {error['msg']}"
    message = error["msg"].removeprefix("Value error, ")
    if not where:  # between sections
        return message
    if error["type"] == "extra_forbidden":
        return _unknown_key(where, error["loc"])
    if error["type"] == "missing":
        return f"{where}: this value is missing"
    allowed = _allowed(error["loc"])
    if isinstance(error["input"], dict):  # between the values of a section
        return f"{where}: {message}"
    return f"{where} = {error['input']!r}: {message}" + (f" (allowed: {allowed})" if allowed else "")


def _unknown_key(where: str, loc: tuple[Any, ...]) -> str:
    if where in MOVED:
        write = f"{new_name(where)}: write `{_nested(MOVED[where], _TASKS.get(where, '...'))}`"
        return f"{write}; this list replaces the whole list of tasks" if where in _TASKS else write
    if "." in str(loc[-1]):
        return f"{where}: a key has no dots; write `{_nested(where)}`"
    section = _section_class(loc[:-1])
    known = [*(section.model_fields if section else ()), *(["extends"] if len(loc) == 1 else [])]
    close = difflib.get_close_matches(str(loc[-1]).lower(), known, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{where}: unknown key; {meant}this section has: {', '.join(known) or 'no keys'}"


def new_name(dotted: str) -> str | None:
    """A sentence with the new name of an old key, or of an old section around it; None if the key is not an old one."""
    names = dotted.split(".")
    for depth in range(len(names), 0, -1):
        if (old := ".".join(names[:depth])) in MOVED:
            return f"{old} is now called {MOVED[old]}"
    return None


def _nested(dotted: str, value: str = "...") -> str:
    """A dotted key as YAML: "train.base" is "train: {base: ...}"."""
    *outer, last = dotted.split(".")
    return "".join(f"{name}: {{" for name in outer) + f"{last}: {value}" + "}" * len(outer)


def _section_class(loc: tuple[Any, ...]) -> type[Section] | None:
    """The class of the section at a place in the recipe; None if something else stands there."""
    current: Any = Recipe
    for name in loc:
        field = current.model_fields.get(name)
        current = field.annotation if field else None
        if not (isinstance(current, type) and issubclass(current, Section)):
            return None
    return current


def _allowed(loc: tuple[Any, ...]) -> str:
    section = _section_class(loc[:-1])
    return allowed_values(section, loc[-1]) if section and loc[-1] in section.model_fields else ""


def allowed_values(section: type[Section], name: str) -> str:
    """The range of values that a section's field may have, in words: "more than 0, less than 1, number"."""
    schema = section.model_json_schema()["properties"][name]
    options = [schema, *schema.get("anyOf", [])]
    bounds = {
        "minimum": "at least {}", "exclusiveMinimum": "more than {}", "maximum": "at most {}",
        "exclusiveMaximum": "less than {}", "pattern": "matching {}", "minLength": "at least {} characters",
        "enum": "one of {}", "type": "{}",
    }  # fmt: skip
    return ", ".join(text.format(o[key]) for o in options for key, text in bounds.items() if key in o)
