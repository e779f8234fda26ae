"""The writing of one SFT table by the recipe's models, from the choice of seeds to the metadata of the asset."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nemotron_assets.generation.several import Writers
from nemotron_assets.sft import choosing
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.table.parts import Batches
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    import dagster as dg

    from nemotron_assets.recipe import Recipe
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader


class Session:
    """What the asset of an SFT table needs: its models, its seeds, and a tally that becomes its metadata."""

    def __init__(
        self, context: dg.AssetExecutionContext, models: Reader, recipe: Recipe, gpu: Gpu, lake: Lakehouse
    ) -> None:
        window = recipe.sft.max_model_len
        self._context = context
        self.writers = Writers(models, gpu, lake, run_id=context.run_id, log=context.log.info, window=window)

    def seeds(self, seeds: Reader, sets: Iterable[str], most: int | None = None) -> list[dict[str, Any]]:
        """The seeds of these sets that the recipe wants."""
        return choosing.seeds(seeds.scan(), sets, most)

    def write(self, table: Table, rows: Callable[[Tally], Iterable[dict[str, Any]]]) -> Batches:
        """The rows of the table, which are made now, and the rejected answers. `rows` gets the tally that counts
        them, and the counts become the metadata of the asset."""
        tally = Tally()

        def made(reject: Callable[[Any], None]) -> Iterable[dict[str, Any]]:
            tally.reject = reject
            return rows(tally)

        batches = self.writers.write(table, made)
        self._context.add_output_metadata(tally.metadata(self.writers.rate))
        return batches
