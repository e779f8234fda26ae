"""Rules that drop a file because of its path alone, such as `vendor/lib.py` or `app.min.js`.

`quality` drops these files. `sources` prefers a copy that no path rule drops when it looks for duplicates.
"""

from __future__ import annotations

import polars as pl

from nemotron_assets.recipe.code.quality import CodeQuality

#: Names of the rules, as they stand in `code.dropped`.
VENDORED, GENERATED, MINIFIED, DATA_DUMP = "vendored", "generated", "minified", "data_dump"


def by_path(recipe: CodeQuality) -> dict[str, pl.Expr]:
    """{rule: expression that is true for a file which the rule drops}. The expressions read `repo` and `rel_path`.

    `recipe.code.numbers.BY_PATH` names the values of the recipe that the rules use.
    """
    path = pl.col("rel_path").str.to_lowercase()

    def any_of(patterns: tuple[str, ...]) -> pl.Expr:
        return path.str.contains("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else pl.lit(False)

    return {
        VENDORED: any_of(recipe.vendored) & ~pl.col("repo").is_in(recipe.vendored_except),
        GENERATED: any_of(recipe.generated_paths if recipe.generated_files == "drop" else ()),
        MINIFIED: any_of(recipe.minified),
        DATA_DUMP: any_of(recipe.data_dump),
    }
