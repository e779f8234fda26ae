"""What is pruned before a distillation: the layers of the chosen shape first, then its widths.

Layers are taken out of the teacher. The widths are pruned after the model without these layers was distilled, by the
importance that the teacher's activations have shown: one measurement is enough (Minitron §4).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.compress.distilling.steps import Pruning
from nemotron_assets.compress.tables import CANDIDATES, IMPORTANCE
from nemotron_assets.models.registry import newest
from nemotron_assets.table.ids import content_hash
from nemotron_assets.training.plan import TrainingError

if TYPE_CHECKING:
    from nemotron_assets.model.pruning import Importance
    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.model import Model
    from resources.lakehouse import Lakehouse


@dataclass(frozen=True)
class Chosen:
    """The chosen shape: layers of the model `before` that stay, and widths. `importance` tells what stays of the widths
    of the model without the other layers; it is made when it is needed."""

    before: Model
    layers: tuple[int, ...]
    widths: dict[str, int]
    importance: Callable[[], Importance]
    importance_hash: str

    @classmethod
    def of(cls, recipe: Recipe, lake: Lakehouse, teacher: dict[str, Any]) -> Chosen:
        """The shape that compress.candidates has chosen, for a teacher (its row). Both models get the shape that was
        chosen for the aligned one. Raises `TrainingError` when the compression has not come so far."""
        from nemotron_assets.model.pruning import architecture, read_config

        before = architecture(read_config(lake.get_weights(teacher["uri"])))
        aligned = newest(lake.read(ALIGNED), f"{recipe.name}-aligned")
        row, importance = _chosen(lake, aligned["id"]), lake.read(IMPORTANCE)
        if not importance.exists or teacher["id"] not in importance.parts():
            raise TrainingError(
                f"compress.importance has no scores of {teacher['name']} {teacher['version']}: materialise "
                f"{IMPORTANCE.asset_key.to_user_string()} first"
            )
        layers, widths = tuple(row["layers"]), {name: row[name] for name in ("hidden", "ffn", "heads", "head_dim")}

        def scores() -> Importance:
            from nemotron_assets.compress.importance import read_importance

            rows, scaled = importance.part(teacher["id"]).scan().collect(), recipe.compress.importance.scale_norms
            return renumbered(read_importance(rows, before, scaled), layers)

        return cls(before, layers, widths, scores, importance.parts()[teacher["id"]])

    def depth(self) -> Pruning | None:
        """What takes the layers out; None if all stay."""
        if len(self.layers) == len(self.before.pattern):
            return None
        return Pruning({"layers": list(self.layers)}, self._take_out)

    def width(self) -> Pruning | None:
        """What prunes the widths of the model without these layers; None if they stay."""
        from nemotron_assets.model.pruning import Shape

        if Shape((), **self.widths) == dataclasses.replace(Shape.of(self.before), layers=()):
            return None
        return Pruning({**self.widths, "importance": content_hash(self.importance_hash)}, self._narrow)

    def _take_out(self, source: Path, target: Path) -> None:
        import torch

        from nemotron_assets.model.pruning import Importance, Shape, prune

        shape = dataclasses.replace(Shape.of(self.before), layers=self.layers)
        prune(source, target, shape, Importance(torch.ones(self.before.hidden_size), {}, {}))

    def _narrow(self, source: Path, target: Path) -> None:
        from nemotron_assets.model.pruning import Shape, prune

        prune(source, target, Shape(tuple(range(len(self.layers))), **self.widths), self.importance())


def renumbered(importance: Importance, layers: tuple[int, ...]) -> Importance:
    """The importance of the parts of a model that has only these layers, which are counted from 0."""

    def of(scores: Any) -> dict[int, Any]:
        kept = {place: scores[layer] for place, layer in enumerate(layers) if layer in scores}
        return kept | ({-1: scores[-1]} if -1 in scores else {})

    names = ("neurons", "mamba", "shares", "gated_shares")
    return dataclasses.replace(importance, **{name: of(getattr(importance, name)) for name in names})


def inner_parameters(folder: Path) -> tuple[int, int]:
    """The number of all parameters of the model in a folder, and of those outside of the embeddings and the head."""
    from nemotron_assets.model.pruning import architecture, read_config

    config = read_config(folder)
    model, vocabulary = architecture(config), config["vocab_size"]
    parameters = model.parameters(vocabulary)
    return parameters, parameters - 2 * vocabulary * model.hidden_size


def sizes(lake: Lakehouse, teacher: dict[str, Any]) -> Callable[[Path], dict[str, Any]]:
    """A function that gives the columns about the size of a compressed model in a folder, beside its teacher's."""
    whole, inner = inner_parameters(lake.get_weights(teacher["uri"]))
    known = {"teacher": teacher["id"], "teacher_parameters": whole, "teacher_inner_parameters": inner}
    return lambda folder: known | {"inner_parameters": inner_parameters(folder)[1]}


def _chosen(lake: Lakehouse, aligned: str) -> dict[str, Any]:
    import polars as pl

    candidates, rows = lake.read(CANDIDATES), None
    if candidates.exists and aligned in candidates.parts():
        rows = candidates.part(aligned).scan().filter(pl.col("chosen")).collect()
    if rows is None or rows.height != 1:
        raise TrainingError(
            f"compress.candidates has no chosen shape for the aligned model in use ({aligned}): materialise "
            f"{CANDIDATES.asset_key.to_user_string()} first"
        )
    return rows.row(0, named=True)
