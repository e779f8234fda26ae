"""Merges two models at every share of the recipe, scores the merges beside the two models, and picks the best."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.merging import CODE
from nemotron_assets.align.merging.tables import ALIGNED, MERGE_SCORES
from nemotron_assets.align.preference.tables import DPO
from nemotron_assets.align.reinforcement.tables import RLHF
from nemotron_assets.grading.paired import paired
from nemotron_assets.models.asked import asked_for
from nemotron_assets.models.registry import Identity, Made, Parent, Registry
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.scratch import scratch_folder

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.align.merging.suites import Scores
    from nemotron_assets.recipe import Recipe
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse

#: The two models that are merged: the one that reasons, and the one that chats.
SIDES = (DPO, RLHF)
#: The published shares near which the best one lies; of equal scores the nearest is taken.
_MIDDLE = 0.5


class MergingError(RuntimeError):
    """There is nothing to merge or to score. The message says what is missing."""


@dataclass
class Sweep:
    """One run of the merge, in one lake."""

    recipe: Recipe
    lake: Lakehouse
    gpu: Gpu
    run_id: str
    log: Callable[[str], None]

    def run(self) -> tuple[dict[str, Any], Parts]:
        """The row of the merged model, and the parts to write to `models.aligned`. The scores are stored first; a sweep
        whose models, prompts and numbers did not change is not made again."""
        sides = [asked_for(self.lake.read(table), self.recipe, self.lake) for table in SIDES]
        part = self._part(sides)
        self.lake.write(MERGE_SCORES, Parts([part]), run_id=self.run_id, code_version=CODE, log=self.log)
        scores = self._used(part.key)
        registry = Registry(self.lake, ALIGNED, self.run_id, self.log)
        model = registry.want(
            self._identity(sides, scores["alpha"]), lambda scratch: self._made(scratch, sides, scores)
        )
        return model, registry.parts()

    def _part(self, sides: list[dict[str, Any]]) -> Part:
        prompts, own = self.lake.read(PROMPTS), self.recipe.align
        contents = [f"{part}={content}" for part, content in (prompts.parts() if prompts.exists else {}).items()]
        decides = (
            own.merging.model_dump(),
            own.rollouts.model_dump(exclude={"batch"}),
            self.recipe.grading.model_dump(),
        )
        fingerprint = content_hash("\x1f".join([*(side["sha256"] for side in sides), repr(decides), *contents]))
        return Part("+".join(side["id"][:12] for side in sides), fingerprint, lambda: self.scored(sides))

    def scored(self, sides: list[dict[str, Any]]) -> pl.DataFrame:
        """The rows of `align.merge_scores` for two models (their rows). Raises `MergingError` without prompts."""
        import polars as pl

        from nemotron_assets.align.merging.suites import held_out

        own, prompts = self.recipe.align.merging, self.lake.read(PROMPTS)
        suites = held_out(prompts.scan(), own.kinds, own.max_items) if prompts.exists else {}
        for suite in [suite for suite, rows in suites.items() if len(rows) < 2]:
            self.log(f"{suite} is left out: it has one held-out prompt, and two are needed, to choose and to judge")
            del suites[suite]
        if not suites:
            raise MergingError(
                f"{PROMPTS.full_name} has no two held-out prompts with verifiers of the kinds {', '.join(own.kinds)}: "
                f"materialise {PROMPTS.asset_key.to_user_string()} again, or change align.merging.kinds"
            )
        scores = self._scores(sides, [row for rows in suites.values() for row in rows])
        ids = {suite: [row["id"] for row in rows] for suite, rows in suites.items()}
        compared = compare(ids, scores)
        best = best_alpha(compared, own.rule)
        common = {
            "parents": [side["id"] for side in sides],
            "sources": [table.full_name for table in SIDES],
            "part": "+".join(side["id"][:12] for side in sides),
            "input_versions": [prompts.input_version, *(self.lake.read(table).input_version for table in SIDES)],
            "run_id": self.run_id,
            "at": datetime.now(UTC),
        }
        rows = [
            row | common | {
                "id": row_id(MERGE_SCORES.full_name, common["part"], row["alpha"], row["suite"]),
                "is_used": row["alpha"] == best,
            }
            for row in compared
        ]  # fmt: skip
        return pl.DataFrame(rows, schema=MERGE_SCORES.empty().schema)

    def _scores(self, sides: list[dict[str, Any]], prompts: list[dict[str, Any]]) -> dict[float, Scores]:
        """The scores of both models (shares 0 and 1) and of every merge. A merge lies on disk only while it answers."""
        from nemotron_assets.align.merging.suites import Examiner
        from nemotron_assets.grading.rewards import Rewards
        from nemotron_assets.model.merge import merge
        from resources.generations import Ledger

        folders = [self.lake.get_weights(side["uri"]) for side in sides]
        hashes = [side["sha256"] for side in sides]
        own, found = self.recipe.align, {}
        with self.gpu.lock(self.log), Rewards(self.recipe.grading) as rewards:
            ledger = Ledger(self.lake, run_id=self.run_id)
            examiner = Examiner(own.rollouts, self.gpu, ledger, rewards, own.merging.max_output_tokens)
            for alpha, folder, side, sha256 in zip((0.0, 1.0), folders, sides, hashes, strict=True):
                found[alpha] = examiner.scores(folder, side["name"], sha256, prompts)
            for alpha in own.merging.alphas:
                self.log(f"merging and scoring: {1 - alpha:.2g} {sides[0]['name']} + {alpha:.2g} {sides[1]['name']}")
                with scratch_folder("nemotron-merge-") as scratch:
                    merge(*folders, alpha, scratch / "merged")
                    merged = row_id("merge", *hashes, repr(alpha))
                    name = f"{self.recipe.name}-merge-{alpha:g}"
                    found[alpha] = examiner.scores(scratch / "merged", name, merged, prompts)
        return dict(sorted(found.items()))

    def _used(self, part: str) -> dict[str, Any]:
        """The share that is used, and its scores by suite."""
        import polars as pl

        rows = self.lake.read(MERGE_SCORES).scan().filter((pl.col("part") == part) & pl.col("is_used")).collect()
        return {"alpha": rows["alpha"][0], "suites": dict(rows.select("suite", "score").iter_rows())}

    def _identity(self, sides: list[dict[str, Any]], alpha: float) -> Identity:
        ids = [side["id"] for side in sides]
        read = [self.lake.read(table).input_version for table in (*SIDES, MERGE_SCORES)]
        return Identity(
            name=f"{self.recipe.name}-aligned",
            id=row_id(ALIGNED.full_name, CODE, *ids, repr(alpha)),
            recipe_hash=content_hash(repr((CODE, alpha))),
            inputs=tuple(read),
            parents=tuple(Parent(table.full_name, id_) for table, id_ in zip(SIDES, ids, strict=True)),
        )

    def _made(self, scratch: Path, sides: list[dict[str, Any]], scores: dict[str, Any]) -> Made:
        from nemotron_assets.model.merge import merge

        target = scratch / "merged"
        parameters = merge(*(self.lake.get_weights(side["uri"]) for side in sides), scores["alpha"], target)
        measured = json.dumps(scores["suites"])
        return Made(target, {"parameters": parameters, "alpha": scores["alpha"], "metrics": measured})


def compare(suites: Mapping[str, Sequence[str]], scores: Mapping[float, Scores]) -> list[dict[str, Any]]:
    """One dict per share and suite: the score on the half of the prompts that chooses the share, and on the other half,
    which judges it, the score and its difference to the worse of the shares 0 and 1. Which one is worse the first half
    says, too: on the prompts that chose it, a choice looks better than it is.

    `suites` has the ids of the prompts, which are a random choice in any order. A prompt on which a verifier failed for
    any share is left out for all of them, so that all means are over the same prompts. Raises `MergingError` for a
    suite with fewer than two scored prompts."""
    rows = []
    for suite, ids in suites.items():
        scored = [id_ for id_ in ids if all(own[id_] is not None for own in scores.values())]
        choosing, kept = scored[::2], scored[1::2]
        if not kept:
            raise MergingError(
                f"of the {len(ids)} prompts of {suite}, answers to {len(scored)} could be scored: two are needed, one "
                "to choose a share by and one to judge it. See the verifiers, or raise align.merging.max_items"
            )
        chosen_by = {alpha: sum(own[id_] for id_ in choosing) / len(choosing) for alpha, own in scores.items()}
        values = {alpha: [own[id_] for id_ in kept] for alpha, own in scores.items()}
        worse = min((0.0, 1.0), key=chosen_by.__getitem__)
        for alpha, own in values.items():
            found = paired(values[worse], own)
            rows.append(
                {
                    "alpha": alpha,
                    "suite": suite,
                    "choice_score": chosen_by[alpha],
                    "items": len(kept),
                    "score": sum(own) / len(own),
                    "item_ids": kept,
                    "values": own,
                    "worse_alpha": worse,
                    "difference": found.difference,
                    "low": found.low,
                    "high": found.high,
                    "unscored": len(ids) - len(scored),
                }
            )
    return rows


def best_alpha(rows: Sequence[Mapping[str, Any]], rule: str) -> float:
    """The share between 0 and 1 that the rule picks by the scores of the half that chooses (see
    `recipe.align.merging`). Of equal ones the nearest to 0.5."""
    scores: dict[float, list[float]] = {}
    for row in rows:
        if 0 < row["alpha"] < 1:
            scores.setdefault(row["alpha"], []).append(row["choice_score"])
    judged = {alpha: min(own) if rule == "best_worst" else sum(own) / len(own) for alpha, own in scores.items()}
    return min(judged, key=lambda alpha: (-round(judged[alpha], 9), abs(alpha - _MIDDLE), alpha))
