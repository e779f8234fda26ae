"""The language model at work on one partition: counting tokens, asking through the ledger, saying how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from nemotron_assets.plots import bars
from nemotron_assets.web.synthetic.asking import Progress, Tally, example_markdown, facts, facts_table
from resources.generations import Completion, Ledger, Request

if TYPE_CHECKING:
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse, Reader


class Writer:
    """The model of `models.generator` or a table like it: `count` counts tokens, `ask` answers requests in order."""

    def __init__(
        self, generator: Reader, gpu: Gpu, lake: Lakehouse, *, run_id: str, log: Callable[[str], None]
    ) -> None:
        model = generator.scan().collect().row(0, named=True)
        self.name: str = model["name"]
        self._engine = gpu.engine(lake.get_weights(model["uri"]), self.name)
        self.window: int = gpu.max_model_len  # tokens of a prompt and its answer together
        self._ledger, self._progress = Ledger(lake, run_id=run_id), Progress(log)
        self.count = self._engine.count_tokens

    def prompt_tokens(self, request: Request) -> int:
        """Tokens of a request with the chat template."""
        return len(self._engine.prompt_ids(request))

    def ask(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """One completion per request, in order; what is in the ledger is not asked for again."""
        return self._ledger.generate(self._engine, requests, self._progress)

    def metadata(self, tallies: Mapping[str, Tally]) -> dict[str, Any]:
        """What became of the answers to every prompt, as metadata of the asset: counts, a plot, examples."""
        shown = {f"example_{name}": dg.MetadataValue.md(example_markdown(t.example)) for name, t in tallies.items()}
        return {
            **facts(tallies),
            "tokens_per_second": round(self._progress.rate, 1),
            "prompts": dg.MetadataValue.md(facts_table(tallies)),
            "tokens_per_prompt": bars({name: t.tokens for name, t in tallies.items()}, "tokens per prompt", "tokens"),
            **shown,
        }
