"""Estimates of Nemotron-CC-v2: documents, duplicates, quality, synthetic texts, and what is published of them.

How many tokens deduplication leaves is taken from Nemotron-CC v1, per snapshot, because no yield of it was published.
"""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.models import classifying
from nemotron_assets.planning.plan import Estimate, Plan, beside, estimates, table_of, unknown
from nemotron_assets.planning.snapshots import per_snapshot
from nemotron_assets.planning.writing import Asked, together, writing
from nemotron_assets.recipe.web.quality import LEVELS

_V1 = tuple(f"web.v1.{level}" for level in LEVELS)


@estimates("web.documents", by="snapshot")
def documents(plan: Plan) -> Estimate:
    pages = plan.of("snapshots.pages").rows
    rows = pages * plan.size("web.documents.share")
    english = rows * plan.size("web.english_share")
    tokens = english * plan.size("web.english_tokens") + (rows - english) * plan.size("web.other_tokens")
    return Estimate(
        rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=plan.taking("web.documents", pages)
    )


beside("web.extraction", writer="web.documents", by="snapshot")
beside("web.privacy", writer="web.documents", by="snapshot")
table_of("web.signatures", of="web.documents", by="snapshot")
table_of("web.near_duplicates", of="web.documents", by="snapshot")
table_of("web.repeated_spans", of="web.unique_documents", by="snapshot")


@estimates("web.duplicates", by="snapshot")
def duplicates(plan: Plan) -> Estimate:
    above = plan.of("web.documents").rows
    rows = above * (1 - _unique_share(plan))
    spent = plan.taking("web.duplicates", above)
    return Estimate(rows=rows, bytes=plan.stored("web.duplicates", rows), core_seconds=spent)


def _unique_share(plan: Plan) -> Value:
    """Share of the documents that deduplication keeps. Published are the tokens that it left of v1's 99 snapshots."""
    if plan.crawl != "published":
        return plan.size("web.unique_share")
    pages = plan.size("web.v1.snapshots") * plan.size("snapshots.pages.share") * plan.size("web.documents.share")
    read = pages * plan.size("web.english_share") * plan.size("web.english_tokens")
    return total(plan.size(level) for level in _V1) / read * plan.size("web.later_snapshots")


@estimates("web.unique_documents", by="snapshot")
def unique_documents(plan: Plan) -> Estimate:
    above = plan.of("web.documents").rows
    rows = above * _unique_share(plan)
    english, others = rows * plan.size("web.english_share"), rows * plan.size("web.languages_share")
    tokens = {"en": english * plan.size("web.english_tokens"), "others": others * plan.size("web.other_tokens")}
    return Estimate(
        rows=rows,
        tokens=total(tokens.values()),
        bytes=plan.text_bytes(total(tokens.values())),
        core_seconds=plan.taking("web.unique_documents", above),
        by_part={"en": tokens["en"], "others": tokens["others"], "en rows": english, "others rows": others},
    )


# -- quality -----------------------------------------------------------------------------------------------------------


_JUDGING = tuple(f"web.quality.annotations.{name}" for name in ("temperature", "top_p", "text_tokens"))


@estimates("web.annotations", asks=_JUDGING)
def annotations(plan: Plan) -> Estimate:
    own = plan.recipe.web.quality.annotations
    texts = plan.value("web.quality.annotations.documents").up_to(plan.of("web.unique_documents").by_part["en rows"])
    texts = texts + 2 * plan.value("web.quality.annotations.controls", min(own.controls, own.documents))
    requests = 2 * texts  # two annotators
    shown = plan.value("web.quality.annotations.text_tokens") + plan.size("writing.template")
    asked = [Asked(requests, shown, plan.size("web.annotations.answer"))]
    stored = plan.stored("web.annotations", requests)
    return writing(plan, "web.annotations", asked, rows=requests, bytes=stored)


def _of_english(asset: str) -> None:
    """Register the estimator of a table with one row per English document."""

    @estimates(asset, by="snapshot")
    def estimate(plan: Plan) -> Estimate:
        rows = plan.of("web.unique_documents").by_part["en rows"]
        spent = plan.taking(asset, rows)
        return Estimate(rows=rows, bytes=plan.stored(asset, rows), core_seconds=spent)


_of_english("web.quality")


@estimates("web.quality_scores", by="snapshot")
def quality_scores(plan: Plan) -> Estimate:
    scorers, rows = plan.recipe.web.quality.scorers, plan.of("web.unique_documents").by_part["en rows"]
    stored = plan.stored("web.quality_scores", rows)
    if not scorers.want_accelerator:
        return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("web.quality_scores", rows))
    models = sum(name != "embedded" for name in (scorers.edu_a, scorers.edu_b))
    seconds = classifying(rows, scorers.classifier_tokens, models)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("web.quality_scores"), gpu_seconds=seconds)


@estimates("web.quality_thresholds")
def quality_thresholds(plan: Plan) -> Estimate:
    rows = plan.size("web.quality_thresholds.rows")
    spent = plan.taking("web.quality_thresholds")
    return Estimate(rows=rows, bytes=plan.stored("web.quality_thresholds", rows), core_seconds=spent)


def _of_judged(asset: str) -> None:
    """Register the estimator of a table with one row per document in English or a language of web.multilingual."""

    @estimates(asset, by="snapshot")
    def estimate(plan: Plan) -> Estimate:
        unique = plan.of("web.unique_documents").by_part
        rows = unique["en rows"] + unique["others rows"]
        return Estimate(rows=rows, bytes=plan.stored(asset, rows), core_seconds=plan.taking(asset, rows))


_of_judged("web.measures")
_of_judged("web.verdicts")


@estimates("web.curated", by="snapshot")
def curated(plan: Plan) -> Estimate:
    """English documents by level: the levels have the published shares; rules apply to some of them."""
    unique, recipe = plan.of("web.unique_documents").by_part, plan.recipe.web
    levels = {}
    for level in LEVELS:
        share = plan.value(f"web.quality.published_shares.{level}", recipe.quality.published_shares[level])
        passing = plan.size("web.perplexity_pass") if level in recipe.heuristics.levels else 1.0
        levels[level] = share * passing
    kept = total(levels.values())
    rows, tokens = unique["en rows"] * kept, unique["en"] * kept
    return Estimate(
        rows=rows,
        tokens=tokens,
        bytes=plan.text_bytes(tokens),
        core_seconds=plan.taking("web.curated", rows),
        by_part={level: unique["en"] * share for level, share in levels.items()},
    )


@estimates("web.multilingual", by="snapshot")
def multilingual(plan: Plan) -> Estimate:
    unique, passing = plan.of("web.unique_documents").by_part, plan.size("web.multilingual_pass")
    rows, tokens = unique["others rows"] * passing, unique["others"] * passing
    spent = plan.taking("web.multilingual", rows)
    return Estimate(rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=spent)


# -- synthetic texts ---------------------------------------------------------------------------------------------------


def _sources(plan: Plan, dotted: str) -> dict[str, tuple[Value, Value]]:
    """The documents that a prompt is asked about by level: how many, and how many tokens of them."""
    limits, above = plan.recipe.section(dotted), plan.of("web.curated")
    found = {}
    for level, most in limits.documents.items():
        each = above.tokens / above.rows
        texts = per_snapshot(plan, above.by_part[level] / each, most, f"{dotted}.documents.{level}")
        segment = _segment(plan, dotted)
        read = texts * each
        read = read if limits.max_segments is None else read.up_to(texts * segment * limits.max_segments)
        found[level] = (texts, read)
    return found


def _segment(plan: Plan, dotted: str) -> Value:
    """Tokens of a segment: a share of the room that the prompt leaves it."""
    room = (plan.value(f"{dotted}.max_input_tokens") - plan.size("writing.template")).at_least(16.0)
    return room * plan.size("writing.segment_share")


def _asked(plan: Plan, dotted: str, read: Value) -> Asked:
    """One request per segment of so many tokens of text."""
    segment, longest = _segment(plan, dotted), plan.value(f"{dotted}.max_output_tokens")
    answered = longest * plan.size("writing.answer_share")
    shown = segment + plan.size("writing.template")
    return Asked(read / segment, shown, answered, longest=longest * plan.size("writing.answer_share").at_least(0.8))


_PROMPTS = ("wikipedia", "distill", "extract_knowledge", "knowledge_list")
_REPHRASING = (
    "web.rephrased.temperature",
    "web.rephrased.top_p",
    *(
        f"web.rephrased.{prompt}.{name}"
        for prompt in _PROMPTS
        for name in ("max_input_tokens", "max_output_tokens", "max_lines", "max_line_characters")
    ),
)


@estimates("web.rephrased", by="snapshot", asks=_REPHRASING)
def rephrased(plan: Plan) -> Estimate:
    asked, rows, parts = [], [], {}
    for prompt in _PROMPTS:
        dotted = f"web.rephrased.{prompt}"
        for level, (texts, read) in _sources(plan, dotted).items():
            asked.append(_asked(plan, dotted, read))
            rows.append(texts * plan.size("writing.usable_share"))
            name = f"{dotted}_low" if prompt == "wikipedia" and level == "low" else dotted
            parts.setdefault(level, []).append(read * plan.size(name))
    by_level = {level: total(tokens) for level, tokens in parts.items()}
    tokens = total(by_level.values())
    made = {"rows": total(rows), "tokens": tokens, "bytes": plan.text_bytes(tokens), "by_part": by_level}
    return writing(plan, "web.rephrased", [together(asked)], **made)


_QUESTIONS = tuple(
    f"web.diverse_qa.{name}"
    for name in (
        *("temperature", "top_p", "max_input_tokens", "max_output_tokens"),
        *("max_questions", "max_question_characters", "max_answer_characters"),
    )
)


@estimates("web.diverse_qa", by="snapshot", asks=_QUESTIONS)
def diverse_qa(plan: Plan) -> Estimate:
    read = total(read for _, read in _sources(plan, "web.diverse_qa").values())
    asked = _asked(plan, "web.diverse_qa", read)
    rows, tokens = asked.requests * plan.size("web.diverse_qa.usable"), read * plan.size("web.diverse_qa.written")
    return writing(plan, "web.diverse_qa", [asked], rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens))


_TRANSLATING = tuple(f"web.translation.{name}" for name in ("temperature", "top_p", "max_output_tokens"))


@estimates("web.native_qa", by="snapshot")
def native_qa(plan: Plan) -> Estimate:
    if plan.recipe.web.native_qa.max_documents != 0:
        return unknown("how many pages of Wikipedia in each language the snapshots have")
    no_row = plan.value("web.native_qa.max_documents")
    return Estimate(rows=no_row, tokens=no_row, bytes=no_row, core_seconds=no_row)


@estimates("web.translated_diverse_qa", by="snapshot", asks=_TRANSLATING)
def translated_diverse_qa(plan: Plan) -> Estimate:
    own, above = plan.recipe.web.translation, plan.of("web.diverse_qa")
    samples = per_snapshot(plan, above.rows, own.max_samples, "web.translation.max_samples")
    each, languages = above.tokens / above.rows, plan.value("web.translation.languages", len(own.languages))
    lines = plan.size("web.translated.lines")
    if own.max_lines is not None:
        lines = lines.up_to(plan.value("web.translation.max_lines"))
    answered = (each / plan.size("web.translated.lines") * plan.size("web.translated.tokens")).up_to(
        plan.value("web.translation.max_output_tokens")
    )
    requests = samples * languages * lines
    longest = plan.value("web.translation.max_output_tokens") * plan.size("writing.answer_share")
    accepted = plan.size("web.translated.accepted")
    again = requests * plan.size("web.translated.again") * (1.0 if own.attempts > 1 else 0.0)
    shown = answered + plan.size("writing.template") * 0.5
    asked = [Asked(requests, shown, answered, longest), Asked(again, shown, answered, longest)]
    rows = samples * languages * accepted
    tokens = rows * lines * answered
    return writing(plan, "web.translated_diverse_qa", asked, rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens))


@estimates("web.translation_outcomes", by="snapshot")
def translation_outcomes(plan: Plan) -> Estimate:
    own = plan.recipe.web.translation
    samples = per_snapshot(plan, plan.of("web.diverse_qa").rows, own.max_samples, "web.translation.max_samples")
    rows = samples * plan.value("web.translation.languages", len(own.languages))
    return Estimate(rows=rows, bytes=plan.stored("web.translation_outcomes", rows))


# -- what is published -------------------------------------------------------------------------------------------------


@estimates("web.nemotron_cc_v2", by="snapshot")
def nemotron_cc_v2(plan: Plan) -> Estimate:
    tokens, rows = {}, []
    for name, subset in plan.recipe.release.subsets.items():
        above = plan.of(subset.table)
        parts = [above.by_part[level] for level in subset.levels if level in above.by_part]
        tokens[name] = total(parts) if parts else above.tokens
        rows.append(tokens[name] / (above.tokens / above.rows))
    real = [tokens[name] for name, subset in plan.recipe.release.subsets.items() if subset.table == "web.curated"]
    everything = total(tokens.values())
    return Estimate(
        rows=total(rows),
        tokens=everything,
        bytes=plan.text_bytes(everything),
        core_seconds=plan.taking("web.nemotron_cc_v2", total(rows)),
        by_part={**tokens, "real": total(real)},
    )
