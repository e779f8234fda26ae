"""Several language models that write one table, one in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nemotron_assets.generation.asking import frames
from nemotron_assets.generation.writing import Writer
from nemotron_assets.table.parts import Batches, Reject, Rejects
from nemotron_assets.table.schema import Table
from nemotron_assets.table.spill import spill

if TYPE_CHECKING:
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader


class Writers:
    """The models of a table of models, by the names that the recipe uses for them (column `recipe_name`).

    A device has room for one model. So whoever uses several asks one of them everything before the next one: `each`
    yields them in turn, and `get` replaces the model in memory. `window` is their context window, if it is not the
    device's.
    """

    def __init__(
        self,
        models: Reader,
        gpu: Gpu,
        lake: Lakehouse,
        *,
        run_id: str,
        log: Callable[[str], None],
        window: int | None = None,
    ) -> None:
        gpu = gpu.model_copy(update={"max_model_len": window}) if window else gpu
        self._models, self._gpu, self._lake, self._run_id, self._log = models, gpu, lake, run_id, log
        self._name, self._writer = "", None
        self.rate = 0.0  # tokens per second of the model used last

    def get(self, name: str) -> Writer:
        """The writer of the model that the recipe calls `name`."""
        if name != self._name or self._writer is None:
            self._note()
            self._writer = Writer(
                self._models, self._gpu, self._lake, run_id=self._run_id, log=self._log, recipe_name=name
            )
            self._name = name
        return self._writer

    def each(self, names: Iterable[str]) -> Iterator[tuple[str, Writer]]:
        """(name, writer) of every model, each loaded when its turn comes."""
        for name in names:
            yield name, self.get(name)

    def write(self, table: Table, rows: Callable[[Callable[[Reject], None]], Iterable[dict[str, Any]]]) -> Batches:
        """The rows of a table that the models write, and the rejected rows; see `Writer.write`."""
        rejects = Rejects()
        with self._gpu.lock(self._log):
            batches = Batches(spill(frames(rows(rejects.add), table)), rejects)
        self._note()
        return batches

    def _note(self) -> None:
        if self._writer is not None:
            self.rate = self._writer.rate
