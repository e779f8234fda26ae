"""Estimates of SFT data in other languages."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.sft import PUBLISHED
from nemotron_assets.planning.writing import Asked, together, writing

PUBLISHED |= {"sft.multilingual_sft": ("General", "stem-sft")}

_NAME = "sft.multilingual"


@estimates(
    "sft.multilingual_sft",
    asks=tuple(f"{_NAME}.translation.{value}" for value in ("temperature", "top_p", "max_output_tokens")),
)
def multilingual_sft(plan: Plan) -> Estimate:
    """Usable rows of the named tables, translated line by line into some of the languages."""
    own, sources = plan.recipe.sft.multilingual, []
    languages = plan.value(f"{_NAME}.translation.languages", len(own.translation.languages))
    if own.languages_per_row is not None:
        languages = languages.up_to(plan.value(f"{_NAME}.languages_per_row"))
    for source, most in own.sources.items():
        above = plan.of(source)
        rows = above.by_part["usable rows"]
        rows = rows if most is None else rows.up_to(plan.value(f"{_NAME}.sources.{source}", most))
        sources.append((rows * languages, above.tokens / above.rows))
    asked, tokens = [], []
    accepted = plan.size("web.translated.accepted")
    for rows, each in sources:
        requests, line = rows * plan.size("sft.multilingual.lines"), each / plan.size("sft.multilingual.lines")
        answered = line * plan.size("web.translated.tokens")
        answered = answered.up_to(plan.value(f"{_NAME}.translation.max_output_tokens"))
        again = 1 + plan.size("web.translated.again") * (1.0 if own.translation.attempts > 1 else 0.0)
        asked.append(Asked(requests * again, line + plan.size("writing.template") * 0.5, answered, answered * 2))
        tokens.append(rows * accepted * each * plan.size("web.translated.tokens"))
    rows = total(number for number, _ in sources) * accepted
    written: Value = total(tokens)
    made = {"rows": rows, "tokens": written, "bytes": plan.text_bytes(written)}
    usable = {"usable rows": rows, "usable tokens": written}
    return writing(plan, "sft.multilingual_sft", [together(asked)], **made, by_part=usable)
