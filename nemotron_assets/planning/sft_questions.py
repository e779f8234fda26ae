"""Estimates of the SFT data that language models write from seeds: science, reasoning, mathematics, code, general.

The seeds of the project are examples. For a recipe with the published sources, the published seeds are counted.
"""

from __future__ import annotations

from dataclasses import replace

from nemotron_assets.planning.figures import Unknown, Value, known, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.sft import PUBLISHED
from nemotron_assets.planning.sources import Profile
from nemotron_assets.planning.writing import Asked, together, writing

PUBLISHED |= {
    "sft.stem_questions": ("General", "stem-sft"),
    "sft.fundamental_reasoning": ("General", "stem-sft"),
    "sft.math_sft": ("MATH", "stem-sft"),
    "sft.code_sft": ("Code", "code-sft"),
    "sft.general_sft": ("General", "general-sft"),
}


def _seeds(plan: Plan) -> Profile | Unknown:
    """Whose seeds are counted."""
    if plan.recipe.sft.inputs.folder != "sample":
        return Unknown("how many seeds the folder sft.inputs.folder has")
    return plan.crawl if plan.crawl in ("sample", "published") else "sample"


def _size(plan: Plan, key: str) -> Value:
    return plan.size(key, _seeds(plan))


def _most(plan: Plan, number: Value, dotted: str) -> Value:
    """The number, limited by a value of the recipe that may be null."""
    return number if plan.recipe.section(dotted) is None else number.up_to(plan.value(dotted))


def _answered(plan: Plan, dotted: str, kind: str) -> Value:
    """Tokens of one answer: its usual length, at most the limit of the recipe."""
    return _size(plan, f"sft.answer.{kind}").up_to(plan.value(f"{dotted}.max_output_tokens"))


def _asked(plan: Plan, requests: Value, dotted: str, kind: str, shown: Value, model: str) -> Asked:
    answered, longest = _answered(plan, dotted, kind), plan.value(f"{dotted}.max_output_tokens")
    return Asked(requests, shown + plan.size("writing.template"), answered, longest.up_to(answered * 2), model=model)


def _made(plan: Plan, asset: str, asked: list[Asked], rows: Value, each: str, usable: Value) -> Estimate:
    """The estimate of a table with so many rows, of which a share is usable."""
    tokens = rows * _size(plan, f"sft.row.{each}")
    return writing(
        plan, asset, asked, rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens),
        by_part={"usable rows": rows * usable, "usable tokens": tokens * usable},
    )  # fmt: skip


def _of(*sections: str) -> tuple[str, ...]:
    """The values of the recipe that are part of every request of these sections."""
    return tuple(f"sft.{s}.{v}" for s in sections for v in ("temperature", "top_p", "max_output_tokens", "max_lines"))


@estimates("sft.seeds")
def seeds(plan: Plan) -> Estimate:
    rows = _size(plan, "sft.seeds.rows")
    return Estimate(rows=rows, bytes=rows * plan.size("sft.row_bytes", "sample"), core_seconds=plan.taking("sft.seeds"))


@estimates("models.sft_writers")
def sft_writers(plan: Plan) -> Estimate:
    rows = plan.value("models of sft", len(plan.recipe.sft.models))
    stored = rows * plan.size("sft.row_bytes", "sample")
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("models.sft_writers"))


# -- science -----------------------------------------------------------------------------------------------------------


def _stem_seeds(plan: Plan) -> Value:
    return _most(plan, _size(plan, "sft.seeds.stem"), "sft.stem.max_seeds")


@estimates("sft.stem_expansions", asks=_of("stem.expansion"))
def stem_expansions(plan: Plan) -> Estimate:
    """In every round, each model writes a question for every question of the round before and every mode."""
    own, current = plan.recipe.sft.stem, _stem_seeds(plan)
    modes = plan.value("sft.stem.expansion.modes", len(own.expansion.modes))
    kept, rounds, asked = _size(plan, "sft.stem.kept"), [], []
    for _ in range(own.expansion.rounds):
        current = _most(plan, current, "sft.stem.expansion.max_questions")
        for model in own.generators:
            shown = _size(plan, "sft.answer.question")
            asked.append(_asked(plan, current * modes, "sft.stem.expansion", "question", shown, model))
        current = current * modes * plan.value("sft.stem.generators", len(own.generators)) * kept
        rounds.append(current)
    rows = total(rounds)
    tokens = rows * _size(plan, "sft.answer.question")
    return writing(plan, "sft.stem_expansions", asked, rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens))


@estimates("sft.stem_questions", asks=_of("stem.solving", "stem.recast"))
def stem_questions(plan: Plan) -> Estimate:
    """Every model answers every question several times. For an answer that wins, it writes options in one request."""
    own = plan.recipe.sft.stem
    questions = _stem_seeds(plan) + plan.of("sft.stem_expansions").rows
    agreed, asked = _size(plan, "sft.agreed"), []
    shown = _size(plan, "sft.answer.question")
    for model in own.generators:
        samples = questions * plan.value("sft.stem.vote.samples")
        asked.append(_asked(plan, samples, "sft.stem.solving", "solution", shown, model))
        asked.append(_asked(plan, questions * agreed, "sft.stem.recast", "options", shown, model))
    forms = 1 + plan.value("sft.stem.recast.options", len(own.recast.options)) * _size(plan, "sft.recast")
    each = questions * plan.value("sft.stem.generators", len(own.generators))
    right, failed = each * agreed * forms, each * (1 - agreed)
    return _made(plan, "sft.stem_questions", asked, right + failed, "stem", right / (right + failed))


# -- reasoning, mathematics, code --------------------------------------------------------------------------------------


@estimates("sft.fundamental_reasoning", asks=_of("reasoning.writing", "reasoning.solving"))
def fundamental_reasoning(plan: Plan) -> Estimate:
    own, asked = plan.recipe.sft.reasoning, []
    items = plan.value("items of sft.reasoning.kinds", sum(kind.items for kind in own.kinds.values()))
    new, agreed = _size(plan, "sft.reasoning.new"), _size(plan, "sft.agreed")
    for model in own.generators:
        shown = _size(plan, "sft.answer.question") * (own.shots + 1)
        asked.append(_asked(plan, items, "sft.reasoning.writing", "item", shown, model))
        samples = items * new * plan.value("sft.reasoning.vote.samples")
        asked.append(_asked(plan, samples, "sft.reasoning.solving", "solution", _size(plan, "sft.answer.item"), model))
    rows = items * new * plan.value("sft.reasoning.generators", len(own.generators))
    return _made(plan, "sft.fundamental_reasoning", asked, rows, "reasoning", agreed)


@estimates("sft.math_sft", asks=_of("instructions.math.writing", "instructions.math.solving"))
def math_sft(plan: Plan) -> Estimate:
    """Problems from seeds and about pages, each solved several times by every model; a row per solution."""
    own, name = plan.recipe.sft.instructions.math, "sft.instructions.math"
    pages = _most(plan, plan.of("math.nemotron_cc_math").rows, f"{name}.max_pages")
    problems = _most(plan, _size(plan, "sft.seeds.math"), f"{name}.max_seeds")
    shown, asked = plan.value(f"{name}.page_characters") / 4, []
    for model in own.generators:
        asked.append(_asked(plan, pages, f"{name}.writing", "question", shown, model))
        samples = (problems + pages * _size(plan, "sft.reasoning.new")) * plan.value(f"{name}.vote.samples")
        asked.append(_asked(plan, samples, f"{name}.solving", "long", _size(plan, "sft.answer.question"), model))
    solved = problems + pages * _size(plan, "sft.reasoning.new")
    rows = solved * plan.value(f"{name}.vote.samples") * plan.value(f"{name}.generators", len(own.generators))
    rows = rows * _size(plan, "sft.parsed")
    return _made(plan, "sft.math_sft", asked, rows, "math", _size(plan, "sft.math.right"))


@estimates("sft.code_sft", asks=_of("instructions.code.solving"))
def code_sft(plan: Plan) -> Estimate:
    own, name = plan.recipe.sft.instructions.code, "sft.instructions.code"
    tested = _most(plan, _size(plan, "sft.seeds.code"), f"{name}.max_seeds")
    problems = _most(plan, plan.of("code.qa").rows, f"{name}.max_problems")
    samples = (tested + problems) * plan.value(f"{name}.samples")
    shown = _size(plan, "sft.answer.question")
    asked = [_asked(plan, samples, f"{name}.solving", "long", shown, model) for model in own.generators]
    rows = samples * plan.value(f"{name}.generators", len(own.generators)) * _size(plan, "sft.parsed")
    usable = tested / (tested + problems) * _size(plan, "sft.tested")  # only tasks of seeds have tests
    if "sft.code_sft" in plan.recipe.sft.release.unverified:
        usable = usable + problems / (tested + problems)
    return _made(plan, "sft.code_sft", asked, rows, "code", usable)


# -- general instructions ----------------------------------------------------------------------------------------------


@estimates("sft.general_sft", asks=_of("instructions.general.writing", "instructions.general.responding"))
def general_sft(plan: Plan) -> Estimate:
    """Every model of a set writes an instruction about each of its texts, and a response; a judge may grade it. What
    one model writes for all sets is asked in the same batches."""
    name, batches, made = "sft.instructions.general", {}, []
    shown, question = plan.value(f"{name}.text_characters") / 4, _size(plan, "sft.answer.question")
    for label, one in plan.recipe.sft.instructions.general.sets.items():
        texts = plan.of("web.curated").rows if one.source == "web.curated" else _size(plan, "sft.seeds.general")
        if one.items is not None:
            texts = texts.up_to(plan.value(f"{name}.sets.{label}.items", one.items))
        for model in one.generators:
            written = _asked(plan, texts, f"{name}.writing", "question", shown, model)
            answered = _asked(plan, texts, f"{name}.responding", "response", question, model)
            made.append(texts * _size(plan, "sft.parsed"))
            graded = None
            if one.judge:
                response = _size(plan, "sft.answer.response")
                graded = _asked(plan, made[-1], f"{name}.judging", "grade", response, one.judge)
            for kind, batch in (("writing", written), ("responding", answered), ("judging", graded)):
                if batch is not None:
                    batches.setdefault((kind, batch.model), []).append(batch)
    asked = [replace(together(same), model=model) for (_, model), same in batches.items()]
    named = "sft.general_sft" in plan.recipe.sft.release.unverified
    usable = known("usable", float(named), "sft.release.unverified names sft.general_sft, or it does not")
    return _made(plan, "sft.general_sft", asked, total(made), "general", usable)
