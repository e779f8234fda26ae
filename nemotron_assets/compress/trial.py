"""What is done with a candidate before it is judged: it is pruned, distilled briefly, scored, and timed."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.tuning.tables import TOKEN_SHARDS
from nemotron_assets.compress.parents import ParentModel
from nemotron_assets.model.memory import BYTES
from resources.files import replaced

if TYPE_CHECKING:
    from nemotron_assets.model.pruning import Importance, Shape
    from nemotron_assets.recipe import Recipe
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse

_SECTION = "compress.search.distillation.training"


@dataclass(frozen=True)
class Trials:
    """The trials of candidates of one model. Hold `gpu.lock()` meanwhile."""

    recipe: Recipe
    lake: Lakehouse
    gpu: Gpu
    parent: ParentModel
    importance: Importance
    log: Callable[[str], None]

    def run(self, shape: Shape, folder: Path, tokens: int, timed: bool) -> dict[str, Any]:
        """The columns of a candidate that was distilled with so many tokens. A finished trial is read from its folder,
        and an unfinished one goes on there."""
        if (done := folder / "result.json").exists():
            return json.loads(done.read_text("utf-8"))
        from nemotron_assets.model.pruning import prune

        if not (pruned := folder / "pruned").exists():
            prune(self.parent.folder, pruned, shape, self.importance)
        before = self._scores(pruned)
        distilled = self._distilled(pruned, folder / "distilled", tokens)
        after = self._scores(distilled)
        found = {
            "tokens": tokens,
            "zero_shot_loss": before.loss,
            "loss": after.loss,
            "score": after.right,
            "items": after.items,
            **(self._timed(distilled) if timed else {"tokens_per_second": None, "measured_engine_bytes": None}),
        }
        with replaced(done) as temporary:
            temporary.write_text(json.dumps(found), "utf-8")
        self.log(
            f"{len(shape.layers)} layers, {shape.hidden}/{shape.ffn}/{shape.heads}: loss {before.loss:.3f} after "
            f"pruning, {after.loss:.3f} after {tokens:,} tokens; {after.right:.3f} of {after.items} answers right"
        )
        return found

    def _scores(self, folder: Path) -> Any:
        from nemotron_assets.compress.scoring import held_out_answers, score
        from nemotron_assets.rollouts.transformers_engine import load

        own = self.recipe.compress.search
        length = own.distillation.sequence_length
        answers = held_out_answers(self.lake.read(TOKEN_SHARDS), own.score_items, length)
        device = self.gpu.devices()[0]
        return score(load(folder, device.label, "bfloat16" if device.kind == "cuda" else "float32"), answers)

    def _distilled(self, pruned: Path, folder: Path, tokens: int) -> Path:
        """The folder of the model after its distillation, which goes on if it was stopped."""
        from nemotron_assets.model.export import add_tokenizer
        from nemotron_assets.training.distillation import DISTILLATION
        from nemotron_assets.training.teaching_data import teaching_data

        own = self.recipe.compress.search.distillation
        data = teaching_data(self.recipe, self.lake, own.sequence_length, own.sft, own.sft_share)
        config = data.config(self.lake) | {
            "start": {"folder": str(pruned)},
            "teacher": {"folder": str(self.parent.folder)},
            "training": own.training.model_copy(update={"tokens": tokens}).model_dump(),
            "section": _SECTION,
            "sequence_length": own.sequence_length,
            "folder": str(folder),
            "teacher_cache": None,
        }
        weights = Path(self.gpu.train(DISTILLATION, config, lambda rows: None, self.log)["weights"])
        add_tokenizer(weights, pruned)
        return weights

    def _timed(self, folder: Path) -> dict[str, Any]:
        """Tokens per second, and the bytes that the running engine gives to the sequences of the budget. Prompts are
        random tokens: what they say does not change the speed."""
        from nemotron_assets.model.pruning import architecture, read_config

        own, budget, config = self.recipe.compress.search.timing, self.recipe.compress.budget, read_config(folder)
        vocabulary, context = config["vocab_size"], max(256, own.prompt_tokens + own.output_tokens)
        engine = self.gpu.model_copy(update={"dtype": budget.dtype}).timed_engine(
            folder, "candidate", context, own.batch
        )
        engine.random_weights = False
        numbers = random.Random(0)
        prompts = [numbers.choices(range(vocabulary), k=own.prompt_tokens) for _ in range(own.batch)]
        try:
            engine.time(prompts, 2)  # what the first steps compile and allocate is not counted
            rates = [engine.time(prompts, own.output_tokens).written_rate for _ in range(own.runs)]
            cache = engine.cache_bytes(budget.context, budget.sequences)
        finally:
            engine.close()
        weights = architecture(config).parameters(vocabulary) * BYTES[budget.dtype]
        return {"tokens_per_second": statistics.median(rates), "measured_engine_bytes": weights + cache}
