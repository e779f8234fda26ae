"""Searches the shape that models are compressed to (Nemotron Nano 2 report §4.2).

First the depth: the aligned model is pruned to each number of layers of the recipe, distilled and scored, and the best
is used. Then the widths: every combination is a candidate. Of those that fit the budget, the largest are pruned,
distilled briefly, scored on held-out answers, and timed in the engine. The candidate with the best score is chosen; of
equal scores, the one with the lowest loss.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.tuning.tables import TOKEN_SHARDS
from nemotron_assets.compress import CODE
from nemotron_assets.compress.budget import memory_columns, serving
from nemotron_assets.compress.importance import kept, read_importance
from nemotron_assets.compress.parents import ParentModel, parent
from nemotron_assets.compress.tables import CANDIDATES, IMPORTANCE
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from resources.home import cache_dir

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.compress.trial import Trials
    from nemotron_assets.model.pruning import Shape
    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.compress import Compress
    from nemotron_assets.recipe.model import Model
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse

DEPTH, WIDTH = "depth", "width"
#: What is not known of a candidate that was not tried.
_UNTRIED = dict.fromkeys(
    ("tokens", "zero_shot_loss", "loss", "score", "items", "tokens_per_second", "measured_engine_bytes")
)


class SearchError(RuntimeError):
    """No shape can be chosen. The message says why."""


@dataclass
class Searching:
    """One search, in one lake."""

    recipe: Recipe
    lake: Lakehouse
    gpu: Gpu
    run_id: str
    log: Callable[[str], None]

    @cached_property
    def _parent(self) -> ParentModel:
        return parent(ALIGNED, self.lake)

    def parts(self) -> Parts:
        """The part of the aligned model. It is made again when the model, its importance, the conversations or the
        numbers change."""
        own, aligned = self.recipe.compress, self._parent.row
        importance = self.lake.read(IMPORTANCE)
        measured = importance.parts().get(aligned["id"]) if importance.exists else None
        if measured is None:
            raise SearchError(
                f"{IMPORTANCE.full_name} has no scores of {aligned['name']} (id {aligned['id']}): materialise "
                f"{IMPORTANCE.asset_key.to_user_string()} first"
            )
        shards = [f"{key}={content}" for key, content in self.lake.read(TOKEN_SHARDS).parts().items()]
        numbers = own.budget.model_dump(), own.search.model_dump(), own.importance.scale_norms
        fingerprint = content_hash("\x1f".join([CODE, aligned["sha256"], measured, repr(numbers), *shards]))
        return Parts([Part(aligned["id"], fingerprint, lambda: self.searched(fingerprint))])

    def searched(self, fingerprint: str) -> pl.DataFrame:
        """All candidates as rows. What was found out about a candidate lies in the cache folder until all are done."""
        import polars as pl

        from nemotron_assets.compress.trial import Trials

        own, aligned = self.recipe.compress, self._parent
        scored = self.lake.read(IMPORTANCE).part(aligned.row["id"]).scan().collect()
        importance = read_importance(scored, aligned.model, own.importance.scale_norms)
        depths = {target: kept(scored, aligned.model.pattern, target) for target in own.search.layers}
        folder = cache_dir("search") / fingerprint[:32]
        folder.mkdir(parents=True, exist_ok=True)
        with self.gpu.lock(self.log):
            trials = Trials(self.recipe, self.lake, self.gpu, aligned, importance, self.log)
            depth_rows = self._depths(depths, trials, folder) if len(depths) > 1 else []
            layers = _best(depth_rows)["layers"] if depth_rows else next(iter(depths.values()))
            rows = enumerated(own, aligned.model, aligned.vocabulary, layers)
            top = [row for row in rows if row["rank"] is not None and row["rank"] <= own.search.top]
            for row in top:
                key = self._id(WIDTH, row)
                row |= trials.run(shape_of(row), folder / key, own.search.distillation.training.tokens, timed=True)
        judge(top)
        frame = pl.DataFrame([self._stored(row) for row in (*depth_rows, *rows)], schema=CANDIDATES.empty().schema)
        shutil.rmtree(folder)
        return frame

    def _depths(self, depths: Mapping[int, Sequence[int]], trials: Trials, folder: Path) -> list[dict[str, Any]]:
        """The rows of the depths, each distilled at the whole width and scored."""
        from nemotron_assets.model.pruning import Shape

        own, aligned, rows = self.recipe.compress, self._parent, []
        for layers in depths.values():
            shape = replace(Shape.of(aligned.model), layers=tuple(layers))
            row = described(own, aligned.model, aligned.vocabulary, shape) | {"step": DEPTH}
            tokens = own.search.depth_tokens or own.search.distillation.training.tokens
            rows.append(row | trials.run(shape, folder / self._id(DEPTH, row), tokens, timed=False))
        return rows

    def _id(self, step: str, row: Mapping[str, Any]) -> str:
        return row_id(CANDIDATES.full_name, self._parent.row["id"], step, repr(shape_of(row)))

    def _stored(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row with the columns that say where it comes from."""
        aligned = self._parent
        readers = [self.lake.read(table) for table in (IMPORTANCE, TOKEN_SHARDS)]
        return row | {
            "id": self._id(row["step"], row),
            "parents": [aligned.row["id"]],
            "sources": [aligned.table],
            "part": aligned.row["id"],
            "input_versions": [aligned.input_version, *(reader.input_version for reader in readers)],
            "run_id": self.run_id,
            "at": datetime.now(UTC),
        }


def enumerated(own: Compress, model: Model, vocabulary: int, layers: Sequence[int]) -> list[dict[str, Any]]:
    """All shapes of the grid with these layers, as columns of `compress.candidates`: those that fit by rank, the
    largest first, then the others. Raises `SearchError` if nothing fits."""
    from nemotron_assets.model.memory import candidates

    search, budget = own.search, own.budget
    widths = {"hidden": search.hidden, "ffn": search.ffn, "heads": search.heads, "head_dim": search.head_dim}
    grid = candidates(model, [layers], widths, vocabulary, serving(budget))
    rows = sorted(
        (described(own, model, vocabulary, candidate.shape) for candidate in grid),
        key=lambda row: (not row["fits"], -row["total_bytes"], row["hidden"], row["ffn"], row["heads"]),
    )
    if not rows[0]["fits"]:
        least = min(rows, key=lambda row: row["engine_bytes"])
        raise SearchError(
            f"no shape of compress.search fits: the smallest of {len(rows)} needs {least['engine_bytes']:,} bytes in "
            f"the engine and keeps {least['non_embedding_share']:.3f} of the parameters outside of the embeddings, but "
            f"compress.budget allows {budget.allowed_bytes:,} bytes and {budget.most_non_embedding}"
        )
    return [row | {"rank": number if row["fits"] else None} for number, row in enumerate(rows, 1)]


def described(own: Compress, model: Model, vocabulary: int, shape: Shape) -> dict[str, Any]:
    """The columns of a shape that say what it is and what memory it takes."""
    after = shape.apply(model)
    columns = memory_columns(after, vocabulary, own.budget)
    share = _inner(after, vocabulary) / _inner(model, vocabulary)
    return columns | _UNTRIED | {
        "step": WIDTH,
        "layers": list(shape.layers),
        "hidden": shape.hidden,
        "ffn": shape.ffn,
        "heads": shape.heads,
        "head_dim": shape.head_dim,
        "non_embedding_share": share,
        "fits": columns["fits"] and share <= own.budget.most_non_embedding,
        "rank": None,
        "on_front": False,
        "chosen": False,
    }  # fmt: skip


def _inner(model: Model, vocabulary: int) -> int:
    """Parameters outside of the embeddings and the head."""
    return model.parameters(vocabulary) - 2 * vocabulary * model.hidden_size


def shape_of(row: Mapping[str, Any]) -> Shape:
    """The shape in a row of `compress.candidates`."""
    from nemotron_assets.model.pruning import Shape

    return Shape(tuple(row["layers"]), row["hidden"], row["ffn"], row["heads"], row["head_dim"])


def chosen_row(lake: Lakehouse) -> dict[str, Any]:
    """The candidate that models are compressed to: that of the newest aligned model. Raises `SearchError` if there is
    none."""
    import polars as pl

    aligned = parent(ALIGNED, lake).row
    rows = lake.read(CANDIDATES).scan().filter((pl.col("part") == aligned["id"]) & pl.col("chosen")).collect()
    if rows.height != 1:
        raise SearchError(
            f"{CANDIDATES.full_name} has {rows.height} chosen shapes for {aligned['name']}, not one: materialise "
            f"{CANDIDATES.asset_key.to_user_string()} first"
        )
    return rows.row(0, named=True)


def _best(tried: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best score; of equal scores the lowest loss, then the fewest bytes."""
    return min(tried, key=lambda row: (-row["score"], row["loss"], row["total_bytes"]))


def judge(tried: Sequence[dict[str, Any]]) -> None:
    """Mark the candidates on the Pareto front of score, bytes and speed, and the one that is chosen."""
    values = [(row["score"], -row["total_bytes"], row["tokens_per_second"]) for row in tried]
    for row, own in zip(tried, values, strict=True):
        row["on_front"] = not any(
            other != own and all(a >= b for a, b in zip(other, own, strict=True)) for other in values
        )
    _best(tried)["chosen"] = True
