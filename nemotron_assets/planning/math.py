"""Estimates of Nemotron-CC-Math: pages with formulas, their clean-up, what is published of them, and dialogues."""

from __future__ import annotations

from nemotron_assets.planning.models import classifying
from nemotron_assets.planning.plan import Estimate, Plan, estimates, table_of
from nemotron_assets.planning.snapshots import per_snapshot
from nemotron_assets.planning.writing import Asked, writing


@estimates("math.candidate_pages", by="snapshot")
def candidate_pages(plan: Plan) -> Estimate:
    above = plan.of("snapshots.pages")
    rows = plan.of("snapshots.catalog").rows * plan.size("math.pages")
    read = above.rows if plan.recipe.math.pages.candidates.detector else rows
    spent = plan.taking("math.candidate_pages", read)
    return Estimate(rows=rows, bytes=rows * plan.size("snapshots.pages.stored"), core_seconds=spent)


@estimates("math.rendered", by="snapshot")
def rendered(plan: Plan) -> Estimate:
    rows = plan.of("math.candidate_pages").rows
    tokens = rows * plan.size("math.page_tokens")
    spent = plan.taking("math.rendered", rows)
    return Estimate(rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=spent)


table_of("math.extraction_examples", of="math.rendered", by="snapshot")
table_of("math.contamination", of="math.rendered", by="snapshot")


_CLEANING = tuple(
    f"math.corpus.cleaner.{name}" for name in ("chunk_tokens", "max_output_tokens", "temperature", "top_p", "top_k")
)


@estimates("math.cleaned", by="snapshot", asks=("math.corpus.writer.model", *_CLEANING))
def cleaned(plan: Plan) -> Estimate:
    """The model reads the pages that the recipe gives it and writes them again; rules clean the others."""
    own, above = plan.recipe.math.corpus.cleaner, plan.of("math.rendered")
    rows = above.rows
    chunk = plan.value("math.corpus.cleaner.chunk_tokens")
    asked_pages = per_snapshot(plan, rows, own.max_pages, "math.corpus.cleaner.max_pages")
    read = asked_pages * plan.size("math.page_tokens")
    if own.max_chunks is not None:
        read = read.up_to(asked_pages * chunk * plan.value("math.corpus.cleaner.max_chunks"))
    length = chunk.up_to(plan.size("math.page_tokens"))
    kept = (plan.size("math.cleaned_tokens") / plan.size("math.page_tokens") * length).up_to(
        plan.value("math.corpus.cleaner.max_output_tokens")
    )
    model = plan.recipe.math.corpus.writer.model
    asked = Asked(read / length, length + plan.size("writing.template"), kept, longest=kept * 1.2, model=model)
    tokens = rows * plan.size("math.cleaned_tokens")
    spent = plan.taking("math.cleaned", rows)
    stored = plan.text_bytes(tokens)
    return writing(plan, "math.cleaned", [asked], rows=rows, tokens=tokens, bytes=stored, core_seconds=spent)


table_of("math.signatures", of="math.cleaned", by="snapshot")
table_of("math.near_duplicates", of="math.cleaned", by="snapshot")
table_of("math.duplicates", of="math.cleaned", by="snapshot")


@estimates("math.quality", by="snapshot")
def quality(plan: Plan) -> Estimate:
    own, rows = plan.recipe.math.corpus.quality, plan.of("math.cleaned").rows
    stored = plan.stored("math.quality", rows)
    if own.classifier == "embedded":
        return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("math.quality", rows))
    seconds = classifying(rows, own.classifier_tokens)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("math.quality"), gpu_seconds=seconds)


@estimates("math.nemotron_cc_math", by="snapshot")
def nemotron_cc_math(plan: Plan) -> Estimate:
    """Pages with a score of at least 3, without duplicates; 4plus is a part of them."""
    above = plan.of("math.cleaned").rows
    rows = above * plan.size("math.unique_share") * plan.size("math.three_plus")
    best = rows * plan.size("math.four_plus")
    four = best * plan.size("math.four_plus_tokens")
    tokens = (rows - best) * plan.size("math.cleaned_tokens") + four
    return Estimate(
        rows=rows,
        tokens=tokens,
        bytes=plan.text_bytes(tokens),
        core_seconds=plan.taking("math.nemotron_cc_math", above),
        by_part={"3": tokens - four, "4plus": four, "4plus rows": best},
    )


_TALKING = tuple(
    f"math.corpus.mind.{name}"
    for name in ("chunk_tokens", "max_output_tokens", "temperature", "top_p", "max_turns", "max_turn_characters")
)


@estimates("math.mind", by="snapshot", asks=("math.corpus.writer.model", *_TALKING))
def mind(plan: Plan) -> Estimate:
    own, above = plan.recipe.math.corpus.mind, plan.of("math.nemotron_cc_math")
    chunk = plan.value("math.corpus.mind.chunk_tokens")
    best = above.by_part["4plus rows"]
    if own.best_if_none and own.max_pages is not None:  # pages of the subset 3 stand in for missing ones
        best = above.rows
    pages = per_snapshot(plan, best, own.max_pages, "math.corpus.mind.max_pages")
    read = pages * plan.size("math.four_plus_tokens")
    if own.max_chunks is not None:
        read = read.up_to(pages * chunk * plan.value("math.corpus.mind.max_chunks"))
    styles = plan.value("math.corpus.mind.styles_per_chunk")
    requests = read / chunk * styles
    answered = (chunk * plan.size("math.mind.yield") / plan.size("writing.usable_share")).up_to(
        plan.value("math.corpus.mind.max_output_tokens")
    )
    longest = plan.value("math.corpus.mind.max_output_tokens").up_to(answered * 2)
    model = plan.recipe.math.corpus.writer.model
    asked = Asked(requests, chunk + plan.size("writing.template"), answered, longest, model=model)
    tokens = read * styles * plan.size("math.mind.yield")
    rows = requests * plan.size("writing.usable_share")
    stored = plan.text_bytes(tokens)
    return writing(plan, "math.mind", [asked], rows=rows, tokens=tokens, bytes=stored)
