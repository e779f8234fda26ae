"""Which documents enter or leave a corpus because of a changed value of the recipe, from numbers that are stored.

The rules of the web, of code and of mathematics compare stored numbers with values of the recipe. So they are applied
here to the numbers of all documents, once with the values of each recipe, and once with each value changed alone. What
another value would change in the numbers themselves, or in a text, shows only when it is made again: see `unevaluated`.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality import curate
from nemotron_assets.code.quality.tables import ANNOTATIONS, SCREENED
from nemotron_assets.code.sources.tables import DUPLICATES as CODE_DUPLICATES
from nemotron_assets.code.sources.tables import FILES
from nemotron_assets.math.corpus.release import category
from nemotron_assets.math.corpus.tables import CLEANED, CONTAMINATION, DUPLICATES
from nemotron_assets.math.corpus.tables import QUALITY as MATH_QUALITY
from nemotron_assets.planning.changes import Node, changed_values, made_again
from nemotron_assets.recipe import Recipe, RecipeError
from nemotron_assets.recipe.code.numbers import BOUNDS, NUMBERS
from nemotron_assets.recipe.load import changed_recipe
from nemotron_assets.recipe.web.quality import LEVELS
from nemotron_assets.table.schema import Table
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import MEASURES, QUALITY
from nemotron_assets.web.quality.verdicts import failures
from resources.home import cache_dir

if TYPE_CHECKING:
    import duckdb

    from resources.lakehouse import Lakehouse

#: The name of the change in which all values change together.
TOGETHER = "all values together"
_FIRST = pl.col("parents").list.first()
_BATCH = 65_536
_COLUMNS = ("corpus", "change", "effect", "id", "label", "rule", "number", "characters")


@dataclass(frozen=True)
class Corpus:
    """A corpus that is chosen by stored numbers. `keys` are the values of the recipe that choose. `judged` gives a row
    per document: id, label, and for recipe k the columns state_k (where the document is in the corpus; null if it is
    not) and rules_k (what it fails). `numbers` are columns with the numbers that rules of the same names compare;
    `measured` is the table with these numbers."""

    name: str
    measured: Table
    keys: tuple[str, ...]
    judged: Callable[[Lakehouse, Sequence[Recipe]], pl.LazyFrame]
    numbers: tuple[str, ...]


def _web(lake: Lakehouse, recipes: Sequence[Recipe]) -> pl.LazyFrame:
    """Documents of web.measures; the state is the level, or "kept" in other languages than English."""
    scored = lake.read(QUALITY).scan().select("bucket", document=_FIRST)
    labels = lake.read(UNIQUE_DOCUMENTS).scan().select("id", label="url")
    rows = lake.read(MEASURES).scan().with_columns(document=_FIRST).join(scored, on="document", how="left")
    for k, recipe in enumerate(recipes):
        level = pl.when(False).then(pl.lit(""))
        for name in LEVELS:
            level = level.when(pl.col("bucket") >= recipe.web.quality.lowest_bucket[name]).then(pl.lit(name))
        rows = rows.with_columns(level=level).with_columns(failures(recipe.web.heuristics).alias(f"rules_{k}"))
        kept = pl.when(pl.col(f"rules_{k}").list.len() == 0).then(pl.col("level").fill_null("kept"))
        rows = rows.with_columns(kept.alias(f"state_{k}"))
    return rows.drop("id").rename({"document": "id"}).join(labels, on="id", how="left")


def _code(lake: Lakehouse, recipes: Sequence[Recipe]) -> pl.LazyFrame:
    """Files of code.files; the state is "kept"."""
    tables = (lake.read(table).scan() for table in (FILES, ANNOTATIONS, LICENSES, CODE_DUPLICATES))
    files, annotations, licences, duplicates = tables
    screened = lake.read(SCREENED).scan()
    rows = files.select("id", label=pl.col("repo") + "/" + pl.col("rel_path"))
    numbers = annotations.select("characters", *(name for name in NUMBERS if name != "characters"), id=_FIRST)
    complexity = screened.select(pl.col("cyclomatic").alias(curate.TOO_COMPLEX), id=_FIRST)
    rows = rows.join(numbers, on="id", how="left").join(complexity, on="id", how="left")
    for k, recipe in enumerate(recipes):
        early = curate.early_reasons(files, annotations, licences, duplicates, recipe.code.quality)
        found = curate.all_reasons(early, screened, recipe.code.quality).select("id", rules=pl.col("rules"))
        state = pl.when(pl.col("rules").list.len() == 0).then(pl.lit("kept"))
        waits = pl.col("rules") == pl.lit([curate.NOT_SCREENED], pl.List(pl.String))
        state = state.when(waits).then(pl.lit(_WAITS))
        found = found.select("id", pl.col("rules").alias(f"rules_{k}"), state.alias(f"state_{k}"))
        rows = rows.join(found, on="id", how="left")
    return rows


def _math(lake: Lakehouse, recipes: Sequence[Recipe]) -> pl.LazyFrame:
    """Pages of math.cleaned without duplicates and contaminated pages; the state is the subset."""
    scores = lake.read(MATH_QUALITY).scan().select("score", "int_score", id=_FIRST)
    duplicates = lake.read(DUPLICATES).scan().select(id=_FIRST)
    items = lake.read(CONTAMINATION).scan().filter("removed").select(rendered=_FIRST).unique()
    rows = lake.read(CLEANED).scan().select("id", "characters", label="url", rendered=_FIRST)
    rows = rows.join(scores, on="id").join(duplicates, on="id", how="anti").join(items, on="rendered", how="anti")
    for k, recipe in enumerate(recipes):
        state = category(recipe.math.corpus.release)
        rows = rows.with_columns(state.alias(f"state_{k}")).with_columns(
            pl.when(pl.col(f"state_{k}").is_null()).then(["score"]).otherwise(pl.lit([], pl.List(pl.String)))
            .alias(f"rules_{k}")
        )  # fmt: skip
    return rows


#: The state of a file that no rule drops any more and that was never screened for credentials and benchmarks.
_WAITS = "waits for screening"

CORPORA = (
    Corpus(
        "web.curated, web.multilingual",
        MEASURES,
        ("web.heuristics.rules", "web.heuristics.max_perplexity", "web.heuristics.levels",
         "web.heuristics.switched_off", "web.quality.lowest_bucket"),
        _web,
        tuple(name for name in MEASURES.column_names if name not in ("id", "parents", "snapshot", "language")),
    ),
    Corpus(
        "code.curated",
        ANNOTATIONS,
        tuple(f"code.quality.{name}" for name in (
            *BOUNDS, "minified_line", "minified_longest", "sampled", "max_cyclomatic", "secrets.action",
            "secrets.personal", "contaminated",
        )),
        _code,
        (*NUMBERS, curate.TOO_COMPLEX),
    ),
    Corpus("math.nemotron_cc_math", MATH_QUALITY, ("math.corpus.release.lowest_score",), _math, ("score",)),
)  # fmt: skip


@dataclass(frozen=True)
class RecipeDiff:
    """The difference, in a DuckDB connection with the table `changes`: corpus, change (the value of the recipe),
    effect, id, label, rule, number, characters. `values` are the changed values, before and after; `unevaluated` those
    whose effect shows only when assets are made again: the first of them, and how many. `missing` are the corpora that
    the lake does not have yet."""

    values: Mapping[str, tuple[Any, Any]]
    connection: duckdb.DuckDBPyConnection
    unevaluated: Mapping[str, tuple[list[str], int]]
    missing: list[str]

    def counts(self) -> list[tuple[Any, ...]]:
        """(corpus, change, effect, documents, characters), the changes in the order of their names."""
        return self.connection.execute(
            "select * from (select corpus, change, effect, count(*) as documents, sum(characters)::bigint from changes "
            "group by all) order by corpus, change = ?, change, documents desc, effect",
            [TOGETHER],
        ).fetchall()

    def examples(self, each: int) -> list[tuple[Any, ...]]:
        """(change, effect, rule, number, id, label) of the first documents of every change and effect."""
        return self.connection.execute(
            "select change, effect, rule, number, id, label from changes where change <> ? qualify row_number() over "
            "(partition by corpus, change, effect order by id) <= ? order by corpus, change, effect, id",
            [TOGETHER, each],
        ).fetchall()


@contextlib.contextmanager
def recipe_diff(lake: Lakehouse, graph: Mapping[str, Node], before: Recipe, after: Recipe) -> Iterator[RecipeDiff]:
    """Compare two recipes on the documents of a lake. `graph` is that of all assets, in topological order."""
    import duckdb

    values = changed_values(before, after)
    known = [key for corpus in CORPORA for key in corpus.keys]
    others = {key: values[key] for key in values if not _concerns(key, known)}
    with tempfile.TemporaryDirectory(dir=cache_dir("diff")) as folder:
        with contextlib.closing(duckdb.connect(str(Path(folder, "diff.duckdb")))) as connection:
            connection.execute("set memory_limit = '1GB'")
            connection.execute(
                "create table changes (corpus varchar, change varchar, effect varchar, id varchar, label varchar, "
                "rule varchar, number double, characters bigint)"
            )
            missing = []
            for corpus in CORPORA:
                own = {key: value for key, value in values.items() if _concerns(key, corpus.keys)}
                if own:
                    missing += _evaluate(connection, lake, corpus, before, _variants(before, own))
            unevaluated = {key: _stale(graph, before, after, key, new) for key, (_, new) in others.items()}
            yield RecipeDiff(values, connection, unevaluated, missing)


def _concerns(key: str, keys: Sequence[str]) -> bool:
    return any(key == known or key.startswith(f"{known}.") for known in keys)


def _variants(before: Recipe, values: Mapping[str, tuple[Any, Any]]) -> dict[str, Recipe]:
    """Recipes with one value changed, by its name, and one with all of them. Of a table of values each entry is a value
    of its own, unless the table would not be allowed then."""
    single: dict[str, tuple[str, Any]] = {}
    for key, (old, new) in values.items():
        if isinstance(old, dict) and isinstance(new, dict):
            for name in {**old, **new}:
                if old.get(name) != new.get(name):
                    changed = {**old, **({name: new[name]} if name in new else {})}
                    single[f"{key}.{name}"] = (
                        key,
                        changed if name in new else {n: v for n, v in old.items() if n != name},
                    )
        else:
            single[key] = key, new
    found: dict[str, Recipe] = {}
    for name, (key, value) in single.items():
        try:
            found[name] = changed_recipe(before, {key: _plain(value)})
        except RecipeError:
            continue
    together = changed_recipe(before, {key: _plain(new) for key, (_, new) in values.items()})
    return found | ({TOGETHER: together} if len(found) != 1 or len(single) > 1 else {})


def _plain(value: Any) -> Any:
    """A value of a recipe as it stands in a recipe file."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.model_dump() if hasattr(value, "model_dump") else value


def _evaluate(
    connection: duckdb.DuckDBPyConnection,
    lake: Lakehouse,
    corpus: Corpus,
    before: Recipe,
    variants: Mapping[str, Recipe],
) -> list[str]:
    """Add the documents of a corpus that a variant changes to `changes`; returns the corpus if the lake lacks it."""
    if not lake.read(corpus.measured).exists:
        return [corpus.name]
    rows = corpus.judged(lake, [before, *variants.values()])
    states = [f"state_{k}" for k in range(1, len(variants) + 1)]
    changed = rows.filter(pl.any_horizontal(pl.col(state).ne_missing(pl.col("state_0")) for state in states))
    for frame in changed.collect_batches(chunk_size=_BATCH, engine="streaming"):
        for k, name in enumerate(variants, 1):
            part = _effects(frame, corpus, k).with_columns(corpus=pl.lit(corpus.name), change=pl.lit(name))
            connection.register("part", part.select(_COLUMNS).to_arrow())
            connection.execute("insert into changes select * from part")
    return []


def _effects(frame: pl.DataFrame, corpus: Corpus, k: int) -> pl.DataFrame:
    """The documents that variant k changes: the effect, the rules that decide, and the number of the first of them."""
    old, new = pl.col("state_0"), pl.col(f"state_{k}")
    rows = frame.filter(new.ne_missing(old)).with_columns(
        effect=pl.when(new == _WAITS).then(pl.lit("may enter, after screening"))
        .when(old.is_null()).then(pl.lit("enters"))
        .when(new.is_null() ).then(pl.lit("leaves"))
        .otherwise(pl.concat_str(pl.lit("from "), old, pl.lit(" to "), new)),
        decisive=pl.when(new.is_null()).then(pl.col(f"rules_{k}")).otherwise(pl.col("rules_0")),
    )  # fmt: skip
    rule = pl.col("decisive").list.first()
    numbers = (pl.when(rule == name).then(pl.col(name).cast(pl.Float64)) for name in corpus.numbers)
    return rows.with_columns(
        rule=pl.col("decisive").list.join(", "),
        number=pl.coalesce(*numbers),
        characters=pl.col("characters").cast(pl.Int64),
    )


def _stale(graph: Mapping[str, Node], before: Recipe, after: Recipe, key: str, value: Any) -> tuple[list[str], int]:
    """(assets that a change of one value concerns first, number of all assets that it makes stale)."""
    try:
        alone = changed_recipe(before, {key: _plain(value)})
    except RecipeError:  # the value is allowed only together with another one
        alone = after
    found = made_again(graph, before, alone)
    section = functools.partial(_concerns, key)
    first = [asset for asset, (sections, _) in found.items() if section(sections)]
    return first, len(found)
