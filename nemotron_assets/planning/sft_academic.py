"""Estimates of academic documents, of questions about their passages, and of long documents with questions."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.sft import PUBLISHED
from nemotron_assets.planning.writing import Asked, writing

PUBLISHED |= {"sft.academic_qa": ("General", "stem-sft")}


def _limits(section: str) -> tuple[str, ...]:
    return tuple(f"sft.academic.{section}.{value}" for value in ("temperature", "top_p", "max_output_tokens"))


def _some(plan: Plan, number: Value, dotted: str) -> Value:
    """The number, limited by a value of the recipe that may be null."""
    return number if plan.recipe.section(dotted) is None else number.up_to(plan.value(dotted))


@estimates("sft.academic_documents", asks=("sft.academic.documents.label_tokens", "sft.academic.documents.temperature"))
def academic_documents(plan: Plan) -> Estimate:
    """The model labels the beginning of every document; the labels say which are kept."""
    looked, tokens = [], []
    for source, limits in plan.recipe.sft.academic.documents.sources.items():
        above = plan.of(source)
        texts = above.rows if limits.max_documents is None else above.rows.up_to(
            plan.value(f"sft.academic.documents.sources.{source}", limits.max_documents)
        )  # fmt: skip
        kept = texts * plan.size(f"sft.academic.kept.{source}")
        looked.append(texts)
        tokens.append((kept, kept * above.tokens / above.rows))
    shown = plan.value("sft.academic.documents.label_tokens") + plan.size("writing.template")
    asked = [Asked(total(looked), shown, plan.size("sft.academic.label", "sample"))]
    rows, kept_tokens = total(rows for rows, _ in tokens), total(each for _, each in tokens)
    stored = plan.text_bytes(kept_tokens)
    return writing(plan, "sft.academic_documents", asked, rows=rows, tokens=kept_tokens, bytes=stored)


@estimates("sft.academic_qa", asks=_limits("qa"))
def academic_qa(plan: Plan) -> Estimate:
    """A question of every kind about each passage. Votes decide about multiple choice, a judge about free answers."""
    own, above, name = plan.recipe.sft.academic.qa, plan.of("sft.academic_documents"), "sft.academic.qa"
    documents = _some(plan, above.rows, f"{name}.max_documents")
    passages = documents * _some(
        plan,
        (above.tokens / above.rows / plan.value(f"{name}.chunk_tokens")).at_least(1.0),
        f"{name}.passages_per_document",
    )
    kinds = plan.value(f"{name}.kinds", len(own.kinds))
    shown = plan.value(f"{name}.max_input_tokens") * plan.size("sft.academic.filled", "sample")
    answered = plan.value(f"{name}.max_output_tokens") * plan.size("sft.academic.answered")
    asked = [Asked(passages * kinds, shown, answered, plan.value(f"{name}.max_output_tokens"))]
    rows = passages * kinds * plan.size("sft.academic.parsed")
    passage = plan.value(f"{name}.chunk_tokens") + plan.size("writing.template")
    if own.votes and "multiple_choice" in own.kinds:
        votes = rows / kinds * plan.value(f"{name}.votes")
        asked.append(Asked(votes, passage, plan.size("sft.academic.verdict", "sample")))
    if own.judge and "free_response" in own.kinds:
        asked.append(Asked(rows / kinds, passage, plan.size("sft.academic.verdict", "sample")))
    tokens, usable = rows * answered, plan.size("sft.academic.usable")
    parts = {"usable rows": rows * usable, "usable tokens": tokens * usable}
    stored = plan.text_bytes(tokens)
    return writing(plan, "sft.academic_qa", asked, rows=rows, tokens=tokens, bytes=stored, by_part=parts)


@estimates("sft.longdoc_qa", asks=_limits("longdoc"))
def longdoc_qa(plan: Plan) -> Estimate:
    """Long documents, each with a question about a tenth of its pieces behind it."""
    own, above, name = plan.recipe.sft.academic.longdoc, plan.of("sft.academic_documents"), "sft.academic.longdoc"
    documents = _some(plan, above.rows * plan.size("sft.academic.long_share"), f"{name}.max_documents")
    length = plan.value(f"{name}.min_document_tokens") * plan.size("sft.academic.longer", "sample")
    length = length.up_to(plan.value(f"{name}.max_document_tokens"))
    pieces = length / plan.value(f"{name}.chunk_tokens") * plan.value(f"{name}.chunk_share")
    answered = plan.value(f"{name}.max_output_tokens") * plan.size("sft.academic.answered")
    shown = plan.value(f"{name}.chunk_tokens") + plan.size("writing.template")
    asked = [Asked(documents * pieces, shown, answered, plan.value(f"{name}.max_output_tokens"))]
    if own.judge:
        asked.append(Asked(documents * pieces, shown, plan.size("sft.academic.verdict", "sample")))
    tokens = documents * (length + pieces * answered)
    stored = plan.text_bytes(tokens)
    return writing(plan, "sft.longdoc_qa", asked, rows=documents, tokens=tokens, bytes=stored)
