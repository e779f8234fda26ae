"""The good texts that scorers learn from: the sample's seed passages and questions, or the user's JSONL files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.scorers import ScorerError

if TYPE_CHECKING:
    from nemotron_assets.recipe.web.quality import Scorers

_SEEDS = Path(__file__).resolve().parents[1] / "sample" / "seeds"


def references(recipe: Scorers) -> list[str]:
    """The good texts: the field `text`, or `question` and `answer`, of every line of the JSONL files that the recipe
    names, at most `max_references` of them. Raises `ScorerError` for a file or line that cannot be read."""
    folder = _SEEDS if recipe.references == "sample" else Path(recipe.references)
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else [folder]
    texts = []
    for file in files:
        if not file.is_file():
            raise ScorerError(f"web.quality.scorers.references: {file} is neither a JSONL file nor a folder of them")
        with file.open() as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    texts.append(row.get("text") or f"{row['question']}\n{row['answer']}")
                except (ValueError, KeyError, AttributeError) as error:
                    raise ScorerError(
                        f"{file} line {number} has neither text nor question and answer ({type(error).__name__} "
                        f'{error}): write one JSON object per line, such as {{"text": "..."}}'
                    ) from None
                if len(texts) == recipe.max_references:
                    return texts
    return texts


def passages(recipe: Scorers) -> list[str]:
    """The references with at least 100 words, the longest first."""
    return sorted((text for text in references(recipe) if len(text.split()) >= 100), key=lambda t: (-len(t), t))
