"""Measures the models in use, one part of a table per model: what was measured once is not measured again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.models.registry import newest_of_each_name
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    import polars as pl

    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader


@dataclass(frozen=True)
class Measuring:
    """What one run of the evaluation needs to measure models for a table.

    `inputs` are the tables that a measurement depends on, beside the model. `key` names the columns that tell the rows
    of one model apart; null values do not count. `by_model` are tables with a part per model, of which a measurement
    reads the part of its own model.
    """

    table: Table
    key: tuple[str, ...]
    inputs: Sequence[Reader]
    lake: Lakehouse
    gpu: Gpu
    run_id: str
    log: Callable[[str], None]
    by_model: Sequence[Reader] = ()

    def parts(
        self,
        models: Sequence[Reader],
        measure: Callable[[Path, str, str], Sequence[Mapping[str, Any]]],
        metadata: Callable[[Mapping[str, pl.DataFrame]], Mapping[str, Any]],
    ) -> Parts:
        """The rows of the newest version of every model name in these tables, one part per model. Stored rows of all
        other models stay in the table.

        `measure` gets the folder of the weights, the device and the model's id, and returns the rows without the
        columns that say which model it is. `metadata` gets the rows that this run has made, by model.
        """
        made: dict[str, pl.DataFrame] = {}
        found = [(model, reader) for reader in models for model in newest_of_each_name(reader)]
        parts = [self._part(model, reader, measure, made) for model, reader in found]
        return Parts(parts, metadata=lambda: dict(metadata(made)), complete=False)

    def _part(self, model: dict[str, Any], reader: Reader, measure: Callable, made: dict[str, pl.DataFrame]) -> Part:
        versions = [own.input_version for own in self.inputs]
        own_parts = [table.parts().get(model["id"], "") if table.exists else "" for table in self.by_model]
        fingerprint = content_hash("\x1f".join([model["sha256"], *versions, *own_parts]))
        versions += [table.input_version for table in self.by_model if table.exists]
        name = f"{model['name']} {model['version']}"

        def rows() -> pl.DataFrame:
            self.log(f"measuring {name} for {self.table.full_name}")
            with self.gpu.lock(self.log) as devices:
                if devices[0].kind == "cuda":
                    self.gpu.release()  # a language model that this process keeps leaves no memory for another model
                measured = measure(self.lake.get_weights(model["uri"]), devices[0].label, model["id"])
            made[name] = self._frame(measured, model, [reader.input_version, *versions])
            return made[name]

        return Part(model["id"], fingerprint, rows)

    def _frame(self, rows: Sequence[Mapping[str, Any]], model: dict[str, Any], versions: list[str]) -> pl.DataFrame:
        import polars as pl

        common = {
            "model": model["name"],
            "model_id": model["id"],
            "model_version": str(model["version"]),
            "input_versions": versions,
            "run_id": self.run_id,
            "at": datetime.now(UTC),
        }
        full = [{"id": self._id(row, model["id"]), **common, **row} for row in rows]
        return pl.DataFrame(full, schema=self.table.empty().schema)

    def _id(self, row: Mapping[str, Any], model_id: str) -> str:
        values = (row[name] for name in self.key)
        return row_id(self.table.full_name, model_id, *(value for value in values if value is not None))
