"""Measures for the checks of candidate and rendered pages: opt-outs, and formulas and code blocks in the texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nemotron_assets.math import tex
from nemotron_assets.recipe.web.privacy import OptOuts
from nemotron_assets.text.opt_outs import OptedOut

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_BATCH = 256
_MOST_DIFFERENT = 50


@dataclass
class Standing:
    """Formulas and code blocks of rendered texts: the numbers that the columns name (`formulas`, `code_blocks`), the
    numbers found when the texts are parsed, and the first pages whose numbers differ."""

    formulas: int = 0
    formulas_found: int = 0
    code_blocks: int = 0
    code_blocks_found: int = 0
    pages_that_differ: list[str] = field(default_factory=list)

    def within(self, share: float) -> bool:
        """Whether the numbers found differ from the numbers named by at most this share, over all texts."""
        return (
            abs(self.formulas_found - self.formulas) <= share * self.formulas
            and abs(self.code_blocks_found - self.code_blocks) <= share * self.code_blocks
        )


def formulas_in_texts(rendered: Reader) -> Standing:
    """Parse every text of `math.rendered` and count its formulas and code blocks."""
    found = Standing()
    for batch in rendered.batches(("url", "text", "formulas", "code_blocks"), batch_size=_BATCH):
        for row in batch.to_pylist():
            formulas, blocks = sum(1 for _ in tex.find(row["text"])), len(tex.code_spans(row["text"]))
            wanted_formulas, wanted_blocks = row["formulas"], row["code_blocks"]
            found.formulas += wanted_formulas
            found.formulas_found += formulas
            found.code_blocks += wanted_blocks
            found.code_blocks_found += blocks
            differs = (formulas, blocks) != (wanted_formulas, wanted_blocks)
            if differs and len(found.pages_that_differ) < _MOST_DIFFERENT:
                counts = f"{formulas} of {wanted_formulas} formulas, {blocks} of {wanted_blocks} code blocks"
                found.pages_that_differ.append(f"{row['url']}: {counts}")
    return found


def candidates_opted_out(candidates: Reader, pages: Reader, opt_outs: OptOuts) -> dict[str, int]:
    """How many rows of `math.candidate_pages` are on an opt-out list, and how many come from a row of
    `snapshots.pages` that opts out itself."""
    honoured, found = OptedOut.of(opt_outs), {"on_a_list": 0, "page_opts_out": 0}
    made_from: set[str] = set()  # the candidates of one snapshot, about 100 bytes for each
    for batch in candidates.batches(("url", "parents"), batch_size=8_192):
        found["on_a_list"] += sum(map(bool, honoured.lists.reasons(batch["url"].to_pylist())))
        made_from |= {parents[0] for parents in batch["parents"].to_pylist()}
    for batch in pages.batches(("id", "url", "opt_outs"), batch_size=8_192):
        reasons = zip(batch["id"].to_pylist(), honoured.reasons(batch), strict=True)
        found["page_opts_out"] += sum(id_ in made_from for id_, reason in reasons if reason == "opt_out")
    return found
