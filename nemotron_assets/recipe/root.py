"""The whole recipe: all sections, access to one by its dotted name, and the hashes that make assets stale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import to_jsonable_python

from nemotron_assets.recipe.align.root import Align
from nemotron_assets.recipe.blend import Blend
from nemotron_assets.recipe.code.root import Code
from nemotron_assets.recipe.compress import Compress
from nemotron_assets.recipe.evaluate import Evaluate
from nemotron_assets.recipe.grading import Grading
from nemotron_assets.recipe.lake import (
    Compute,
    Machines,
    Maintenance,
    Quarantine,
    Removals,
    Storage,
    Thresholds,
)
from nemotron_assets.recipe.llm import Llm
from nemotron_assets.recipe.math import Math
from nemotron_assets.recipe.model import Model
from nemotron_assets.recipe.release import Release
from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.sft.root import Sft
from nemotron_assets.recipe.snapshots import Snapshots
from nemotron_assets.recipe.tokenizer import Tokenizer
from nemotron_assets.recipe.train import Train
from nemotron_assets.recipe.web import Web


class Recipe(Section):
    """The whole recipe."""

    name: str = Field(description="name of this recipe; dataset cards show it")
    executor: Literal["in_process", "multiprocess", "ray"] = Field(
        description="how Dagster runs the steps of a run that the web UI, a schedule or a sensor starts. in_process: "
        "one after the other, in one process; multiprocess: side by side, each in a process of its own; ray: side by "
        "side, each as a Ray job of the cluster at compute.jobs_address"
    )
    storage: Storage
    compute: Compute
    machines: Machines = Machines()
    quarantine: Quarantine
    llm: Llm
    snapshots: Snapshots
    web: Web
    math: Math
    code: Code
    grading: Grading = Grading()
    sft: Sft
    release: Release
    tokenizer: Tokenizer
    blend: Blend
    model: Model
    train: Train
    align: Align
    compress: Compress
    evaluate: Evaluate
    removals: Removals = Removals()
    thresholds: Thresholds = Thresholds()
    maintenance: Maintenance

    @model_validator(mode="after")
    def _prompts_fit_the_context_window(self) -> Recipe:
        window = self.llm.max_model_len
        for name, prompt in {**self.web.rephrased.prompts(), "diverse_qa": self.web.diverse_qa}.items():
            if self.llm.engine == "vllm" and prompt.max_input_tokens + prompt.max_output_tokens > window:
                raise ValueError(
                    f"prompt {name}: max_input_tokens {prompt.max_input_tokens} + max_output_tokens "
                    f"{prompt.max_output_tokens} is more than llm.max_model_len {window}"
                )
        return self

    def section(self, dotted: str) -> Any:
        """The section or value with a dotted name, such as "train.base". Raises `KeyError` for an unknown name; the
        message lists the names that are known."""
        value: Any = self
        for name in dotted.split("."):
            fields = type(value).model_fields if isinstance(value, Section) else ()
            if name not in fields:
                raise KeyError(f"the recipe has no {dotted!r}; {name!r} is not one of: {', '.join(fields) or 'none'}")
            value = getattr(value, name)
        return value

    def with_sections(self, sections: Mapping[str, Any]) -> Recipe:
        """A copy of the recipe in which some sections or values, given by their dotted names, are replaced.

        The new values are not validated. Raises `KeyError` for an unknown name.
        """
        changed = self
        for dotted, value in sections.items():
            *path, last = dotted.split(".")
            changed.section(dotted)
            parents = [changed.section(".".join(path[:depth])) if depth else changed for depth in range(len(path) + 1)]
            for parent, name in zip(reversed(parents), (last, *reversed(path)), strict=True):
                value = parent.model_copy(update={name: value})
            changed = value
        return changed

    def section_hash(self, dotted: str) -> str:
        """A short hash of the values of a section, or of one value. Equal values have the same hash in every recipe and
        in every place."""
        return _hash(self.section(dotted))

    def hash(self) -> str:
        """A short hash of all values of the recipe."""
        return _hash(self)


def _hash(value: Any) -> str:
    data = json.dumps(to_jsonable_python(value), sort_keys=True)
    return hashlib.sha256(data.encode()).hexdigest()[:16]
