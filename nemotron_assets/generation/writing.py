"""A language model that writes rows of a partition: it counts tokens, asks through the ledger, and logs progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from nemotron_assets.generation.asking import Progress, Tally, example_markdown, facts, facts_table, frames
from nemotron_assets.models.registry import newest
from nemotron_assets.table.parts import Batches, Reject, Rejects
from nemotron_assets.table.schema import Table
from nemotron_assets.table.spill import spill
from resources.generations import Completion, Ledger, Request

if TYPE_CHECKING:
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader


class Writer:
    """The model in use of `models.generator`, or of a table like it. With `recipe_name` it is the model that the recipe
    calls so, in a table with that column.

    `name` is the model's name, `window` the number of tokens that a prompt and its answer may have together, and
    `count(texts)` gives the number of tokens of each text.
    """

    def __init__(
        self,
        generator: Reader,
        gpu: Gpu,
        lake: Lakehouse,
        *,
        run_id: str,
        log: Callable[[str], None],
        recipe_name: str | None = None,
    ) -> None:
        model = newest(generator) if recipe_name is None else newest(generator, recipe_name, column="recipe_name")
        self.name: str = model["name"]
        self._engine = gpu.engine(lake.get_weights(model["uri"]), self.name, model["sha256"], log)
        self.window: int = gpu.max_model_len
        self._ledger, self._progress = Ledger(lake, run_id=run_id), Progress(log)
        self._gpu, self._log = gpu, log
        self.count = self._engine.count_tokens

    def prompt_tokens(self, request: Request) -> int:
        """The number of tokens of a request with its chat template."""
        return len(self._engine.prompt_ids(request))

    def ask(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """One completion per request, in order. Completions that are in the ledger are not asked for again."""
        return self._ledger.generate(self._engine, self._progress.counted(requests), self._progress)

    @property
    def rate(self) -> float:
        """Tokens per second that the model has written so far."""
        return self._progress.rate

    def device(self) -> AbstractContextManager:
        """A context in which this process holds the device."""
        return self._gpu.lock(self._log)

    def write(self, table: Table, rows: Callable[[Callable[[Reject], None]], Iterable[dict[str, Any]]]) -> Batches:
        """The rows of a table that the model writes, and the rejected rows.

        `rows(reject)` is consumed now, while this process holds the device; the rows wait in a temporary file until the
        lake reads them. It hands rows that fail to `reject`.
        """
        rejects = Rejects()
        with self.device():
            return Batches(spill(frames(rows(rejects.add), table)), rejects)

    def metadata(self, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """Metadata of the asset about the answers to every prompt: counts, a plot, an example per prompt."""
        from nemotron_assets.plots import bars, markdown

        shown = {f"example_{name}": markdown(example_markdown(t.example)) for name, t in tallies.items()}
        return {
            **facts(tallies),
            "tokens_per_second": round(self.rate, 1),
            "prompts": markdown(facts_table(tallies)),
            "tokens_per_prompt": bars({name: t.tokens for name, t in tallies.items()}, "tokens per prompt", "tokens"),
            **shown,
        }
