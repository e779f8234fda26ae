"""Estimates of Nemotron-Pretraining-Code: files of repositories, licences, copies, the corpus, problems about it.

The sample's files are counted. For GitHub, the size of The Stack v3 without copies is the start, and the files before
that follow backwards from the shares that stages keep.
"""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import Estimate, Plan, beside, estimates, table_of
from nemotron_assets.planning.writing import Asked, writing


@estimates("code.repositories")
def repositories(plan: Plan) -> Estimate:
    rows = plan.size("code.repositories.rows", plan.code)
    if plan.recipe.code.sources.max_repositories is not None:
        rows = rows.up_to(plan.value("code.sources.max_repositories"))
    return Estimate(
        rows=rows, bytes=plan.stored("code.repositories", rows), core_seconds=plan.taking("code.repositories")
    )


def _files(plan: Plan) -> Value:
    """Files before anything is dropped."""
    if plan.code != "published":
        return plan.of("code.repositories").rows * plan.size("code.files.share", plan.code)
    kept = plan.size("code.unique_tokens", plan.code) / plan.size("code.file_tokens", plan.code)
    return kept / (plan.size("code.unique_share", plan.code) * plan.size("code.pass_share", plan.code))


@estimates("code.files")
def files(plan: Plan) -> Estimate:
    rows = _files(plan)
    tokens = rows * plan.size("code.file_tokens", plan.code)
    return Estimate(
        rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=plan.taking("code.files", rows)
    )


beside("code.rejected_files", writer="code.files")
beside("code.contents", writer="code.repositories")
beside("code.license_scans", writer="code.licenses")


def _of_files(asset: str) -> None:
    """Register the estimator of a table with one row per file."""

    @estimates(asset)
    def estimate(plan: Plan) -> Estimate:
        rows = plan.of("code.files").rows
        return Estimate(rows=rows, bytes=plan.stored(asset, rows), core_seconds=plan.taking(asset, rows))


_of_files("code.annotations")


@estimates("code.licenses")
def licenses(plan: Plan) -> Estimate:
    rows = plan.of("code.files").rows
    asked = rows * plan.size("code.licence_texts", plan.code)
    spent = plan.taking("code.licenses", rows) + asked / plan.rate("code.licence_texts")
    return Estimate(rows=rows, bytes=plan.stored("code.licenses", rows), core_seconds=spent)


table_of("code.duplicates", of="code.files")


def _candidates(plan: Plan) -> Value:
    """Files under an accepted licence that are not copies."""
    shares = plan.size("code.accepted_share", plan.code) * plan.size("code.unique_share", plan.code)
    return plan.of("code.files").rows * shares


@estimates("code.curated")
def curated(plan: Plan) -> Estimate:
    rows = _candidates(plan) * plan.size("code.pass_share", plan.code)
    tokens = rows * plan.size("code.file_tokens", plan.code)
    spent = plan.taking("code.curated", rows)
    return Estimate(rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=spent)


def _of_corpus(asset: str) -> None:
    """Register the estimator of a table with one row per file of the corpus."""

    @estimates(asset)
    def estimate(plan: Plan) -> Estimate:
        rows = plan.of("code.curated").rows
        return Estimate(rows=rows, bytes=plan.stored(asset, rows), core_seconds=plan.taking(asset, rows))


@estimates("code.screened")
def screened(plan: Plan) -> Estimate:
    """Only files that the quick rules keep are searched."""
    rows = _candidates(plan) * plan.size("code.pass_share", plan.code)
    return Estimate(
        rows=rows, bytes=plan.stored("code.screened", rows), core_seconds=plan.taking("code.screened", rows)
    )


_of_corpus("code.metadata")
table_of("code.attributions", of="code.curated")


@estimates("code.dropped")
def dropped(plan: Plan) -> Estimate:
    rows = plan.of("code.files").rows - plan.of("code.curated").rows
    return Estimate(rows=rows, bytes=plan.stored("code.dropped", rows), core_seconds=plan.taking("code.dropped", rows))


@estimates("code.snippets")
def snippets(plan: Plan) -> Estimate:
    own, above = plan.recipe.code.qa, plan.of("code.curated").rows
    languages = plan.value("code.qa.languages", len(own.languages))
    each = plan.size("code.snippets_per_file", plan.code)
    if own.snippets.per_file is not None:
        each = each.up_to(plan.value("code.qa.snippets.per_file"))
    rows = above * plan.size("code.qa.language_share", plan.code) * each
    if own.snippets.per_language is not None:
        rows = rows.up_to(languages * plan.value("code.qa.snippets.per_language"))
    return Estimate(
        rows=rows, bytes=plan.stored("code.snippets", rows), core_seconds=plan.taking("code.snippets", above)
    )


_ASKING = tuple(
    f"code.qa.{name}"
    for name in (
        *("temperature", "top_p", "max_problem_tokens", "max_solution_tokens", "max_problem_lines"),
        *("max_problem_line", "max_explanation_line", "max_code_lines", "grammar"),
    )
)


@estimates("code.qa", by="language", asks=_ASKING)
def qa(plan: Plan) -> Estimate:
    """A problem and then its solution about every snippet, tried again while one of them is bad."""
    above = plan.of("code.snippets").rows
    rounds = plan.size("code.qa.attempts", plan.code)
    shown, written = plan.size("code.qa.asked", plan.code), plan.size("code.qa.sample_tokens", plan.code)
    asked = [
        Asked(above * rounds, shown, written * 0.35, rounds=rounds),  # about a third of a sample is the problem
        Asked(above * rounds, shown, written * 0.65, rounds=rounds),
    ]
    rows = above * plan.size("code.qa.accepted", plan.code)
    tokens = rows * written
    return writing(plan, "code.qa", asked, rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens))
