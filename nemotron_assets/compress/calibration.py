"""The sequences that models are measured on: of the data that each was trained on last, chosen as a training would.

The aligned model is measured on conversations of a supervised stage, with the shares of its domains; the base model on
sequences of the pretraining. The choice is a function of the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.tuning import tables as tuning
from nemotron_assets.blend import tables as blend
from nemotron_assets.training.plan import TrainingError, shards_config

if TYPE_CHECKING:
    from nemotron_assets.model.importance import Calibration
    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Lakehouse


@dataclass(frozen=True)
class Source:
    """Where calibration sequences come from: the tables at their versions, the part, the most tokens of a sequence, the
    weights of the domains (none: all sequences alike), and a fingerprint of the content."""

    config: dict[str, Any]
    length: int
    weights: dict[str, float]
    fingerprint: str
    input_versions: tuple[str, ...]

    @classmethod
    def of(cls, table: str, recipe: Recipe, lake: Lakehouse) -> Source:
        """The source for the model of a table ("models.aligned"). Raises `TrainingError` when it is missing."""
        own = recipe.compress.importance
        if table == ALIGNED.full_name:
            stage = recipe.align.tuning.stages()[own.stage]
            tables, part = (tuning.TOKEN_SHARDS, tuning.SEQUENCES), own.stage
            length, weights, left_out = stage.sequence_length, dict(stage.chosen.weights), []
        else:
            length, weights, left_out = recipe.blend.sequence_length, {}, sorted(recipe.blend.left_out)
            tables, part = (blend.TOKEN_SHARDS, blend.SEQUENCES), str(length)
        readers = [lake.read(needed) for needed in tables]
        packed = readers[1].parts() if readers[1].exists else {}
        if part not in packed:
            raise TrainingError(
                f"{tables[1].full_name} has no sequences of part {part}, which {table} is measured on: materialise "
                f"{tables[1].asset_key.to_user_string()} first"
            )
        config = shards_config(lake, *readers, part, left_out)
        content = [packed[part], *(f"{key}={value}" for key, value in readers[0].parts().items())]
        decides = (repr(sorted(weights.items())), str(length), *content, *left_out)
        return cls(config, length, weights, "\x1f".join(decides), tuple(reader.input_version for reader in readers))


def batches(
    source: Source, count: int, size: int, seed: int, folder: Path, device: str = "cpu"
) -> list[Callable[[], Calibration]]:
    """The first `count` sequences in batches of `size`, each made when it is asked for. Copies of shards lie in
    `folder`. If there are fewer sequences, they come again."""
    from nemotron_assets.training.mixture import Entry, Mixture
    from nemotron_assets.training.stream import all_alike
    from nemotron_assets.training.worker import LakeShards

    shards = LakeShards(**source.config, folder=folder)
    entries = [Entry("calibration", 1, source.weights)] if source.weights else all_alike(shards.sources)
    mixture = Mixture(seed, entries, shards.sources, count, 1)

    def make(first: int) -> Callable[[], Calibration]:
        return lambda: _batch(shards, mixture.rows(1, first, min(first + size, count)), source.length, device)

    return [make(first) for first in range(0, count, size)]


def _batch(shards: Any, rows: Any, length: int, device: str) -> Calibration:
    import torch

    from nemotron_assets.model.importance import Calibration
    from nemotron_assets.training.stream import as_batch, fitting_length, read_rows

    sequences = read_rows(shards, rows)
    batch = as_batch(sequences, fitting_length(max(len(own.tokens) for own in sequences), length), device)
    lengths = torch.tensor([len(own.tokens) for own in sequences])
    real = torch.arange(batch.tokens.shape[1]) < lengths.unsqueeze(1)
    return Calibration(batch.tokens, batch.packing, real.to(device))
