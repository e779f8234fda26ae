"""The dataset card of an export (README.md): front matter for the Hugging Face Hub, and tables for a human reader."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic_core import to_jsonable_python

from nemotron_assets.export import markdown
from nemotron_assets.export.written import Counts
from nemotron_assets.recipe import Recipe, Section
from nemotron_assets.recipe.release import Release
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Column, Table

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_SAMPLE_NOTICE = Path(__file__).resolve().parents[1] / "sample" / "NOTICE.md"
_MOST_LICENCE_BYTES = 4 << 20
_MOST_VALUES = 30  # longest list of the recipe that the card gives in full
#: What is said about configs without rows, by whether they have files.
_EMPTY = {
    False: "They have no files.",
    True: "Each has a file without rows, which `load_dataset` reads with `streaming=True` only.",
}
_EXAMPLE = 600  # characters of a text that an example shows
_BAR = 30  # characters of the longest bar of a histogram


class CardError(ValueError):
    """The card cannot be written; the message names the value of the recipe and the fix."""


def licence_text(release: Release) -> str:
    """The text of the data's licence, from the file that `release.licence_text` names; "" if it is null."""
    if release.licence_text is None:
        return ""
    path = _SAMPLE_NOTICE if release.licence_text == "sample" else Path(release.licence_text).expanduser()
    try:
        if path.stat().st_size > _MOST_LICENCE_BYTES:
            raise CardError(f"release.licence_text: {path} is larger than {_MOST_LICENCE_BYTES >> 20} MB")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"release.licence_text: {path} cannot be read as text: {error}") from None


def facts(reader: Reader, partitions: Sequence[str] | None, recipe: Recipe) -> dict[str, Any]:
    """Where the data comes from: versions, recipe, code and generators, and the histograms that the table declares."""
    lake, table = reader.lake, reader.table
    commit = reader.commit()
    tables = all_tables()
    generators: Counter[str] = Counter()
    inputs = {}

    def read(name: str) -> Reader:
        """A table of the lake. If it has the same partitions as the exported table, only the exported ones."""
        return lake.read(tables[name], partitions if tables[name].partition_by == table.partition_by else None)

    if "generator" in table.column_names:
        generators.update(_counts(read(table.full_name), "generator"))
    for name in table.parents:
        parent = read(name) if name in tables else None
        if parent is None or not parent.exists:
            continue
        inputs[name] = parent.version
        if "generator" in parent.table.column_names:
            generators.update(_counts(parent, "generator"))
    return {
        "table": table.full_name,
        "delta_version": reader.version,
        "written": datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).isoformat(timespec="seconds"),
        "run": commit.get("dagster_run_id"),
        "code_version": commit.get("code_version"),
        "package": f"nemotron-lakehouse {importlib.metadata.version('nemotron-lakehouse')}",
        "recipe": recipe.name,
        "recipe_hash": recipe.hash(),
        "settings": settings(table, recipe),
        "partitions": partitions,
        "partitioned_by": table.partition_by,
        "inputs": inputs,
        "generators": dict(generators),
        "histograms": {
            f"{name}.{column}": _counts(read(name), column)
            for name, column in table.published.histograms
            if name in tables and lake.read(tables[name]).exists
        },
    }


#: {table: sections of the recipe that decide which texts it holds, and how they are changed}
_SETTINGS = {
    "web.documents": ("web.documents.opt_outs", "web.documents.privacy"),
    "web.unique_documents": ("web.dedup", "web.substring"),
    "web.verdicts": ("web.heuristics", "web.perplexity"),
    "web.curated": ("web.heuristics", "web.perplexity"),
    "web.multilingual": ("web.heuristics",),
    "math.nemotron_cc_math": ("math.corpus.dedup", "math.corpus.contamination"),
    "code.files": ("code.licences", "code.dedup", "code.quality"),
}

#: Values that the card leaves out: the key of replacements is a secret, and the others do not change a text.
_LEFT_OUT = re.compile(r"\.(\w*_key|memory_mb|batch_rows|check_\w+|processes|threads)$")


def settings(table: Table, recipe: Recipe) -> dict[str, str]:
    """The settings of privacy, opt-outs, deduplication and filters by which the table and those it is made from were
    made, by key of the recipe. A long list is given as its length, and so is every list of opt-outs. The card does
    not publish who opted out."""
    tables, found = {**all_tables(), table.full_name: table}, {table.full_name}
    waiting = [table.full_name]
    while waiting:
        above = [name for name in tables[waiting.pop()].parents if name in tables and name not in found]
        found.update(above)
        waiting += above
    sections = dict.fromkeys(section for name in _SETTINGS if name in found for section in _SETTINGS[name])
    values = [pair for section in sections for pair in _values(section, recipe.section(section))]
    return {key: value for key, value in values if value != "null" and not _LEFT_OUT.search(key)}


def _values(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """The values of a section of the recipe, each with its whole key."""
    if isinstance(value, Section):
        for name in type(value).model_fields:
            yield from _values(f"{key}.{name}", getattr(value, name))
    elif isinstance(value, list | tuple | set | frozenset | dict) and (len(value) > _MOST_VALUES or ".opt_outs" in key):
        yield key, f"{len(value)} values"
    elif isinstance(value, str) and value.startswith(("/", "~", "./", "../", "file:")):
        yield key, f"{Path(value).name} (a local file or folder)"
    else:
        text = yaml.safe_dump(to_jsonable_python(value), default_flow_style=True, width=1_000)
        yield key, text.removesuffix("...\n").strip()


def _counts(reader: Reader, column: str) -> dict[Any, int]:
    """Rows per value of a column, without nulls, in the order of the values."""
    import polars as pl

    counted = reader.scan().group_by(column).agg(rows=pl.len()).sort(column).collect(engine="streaming")
    return {value: rows for value, rows in counted.iter_rows() if value is not None}


def render(
    table: Table,
    configs: Mapping[str, Counts],
    described: Mapping[str, Any],
    release: Release,
    has_licence: bool,
    examples: Mapping[str, Mapping[str, Any]],
) -> str:
    """The text of README.md: front matter and body. `examples` are the rows that it shows, by config."""
    total = Counts.total(configs.values())
    written = {name: counts for name, counts in configs.items() if counts.rows or table.published.empty_configs}
    matter = front_matter(table, written, total, release, has_licence)
    head = yaml.safe_dump(matter, sort_keys=False, allow_unicode=True, width=1_000)
    return f"---\n{head}---\n\n{_text(table, configs, total, described, release, has_licence, examples)}"


def front_matter(
    table: Table, configs: Mapping[str, Counts], total: Counts, release: Release, has_licence: bool
) -> dict[str, Any]:
    """What the Hub and `datasets` read: licence, languages and size; files, features and counts of every config."""
    out = table.published
    licence = {"license": release.licence}
    if release.licence == "other":
        licence["license_name"] = " ".join(release.licence_name.split())
        if has_licence:
            licence["license_link"] = "LICENSE.md"
    return {
        "pretty_name": out.title,
        **licence,
        "language": sorted(set(map(_hub_language, total.languages))),
        "size_categories": [size_category(total.rows)],
        "task_categories": ["text-generation"],
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": f"data/{name}/train-*.parquet"}]}
            for name in configs
        ],
        "dataset_info": [
            {
                "config_name": name,
                "features": _features(table, out.columns_of(name)),
                "splits": [{"name": "train", "num_bytes": counts.bytes, "num_examples": counts.rows}],
                "download_size": counts.file_bytes,
                "dataset_size": counts.bytes,
            }
            for name, counts in configs.items()
        ],
    }


def _hub_language(name: str) -> str:
    """A language as the Hub names it: an ISO 639 code, or "code" for a programming language."""
    return name if name.islower() and len(name) <= 3 else "code"


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows: n<1K, 1K<n<10K, ..., n>1T."""
    names = ["1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T"]
    limits = [10 ** (3 + power) for power in range(len(names))]
    place = sum(rows >= limit for limit in limits)
    if place == 0:
        return "n<1K"
    return f"{names[place - 1]}<n<{names[place]}" if place < len(names) else "n>1T"


def _features(table: Table, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The columns as `datasets` describes them. A struct takes the place of its first column."""
    features: dict[str, dict[str, Any]] = {}
    for name in columns:
        struct, _, field = _shown(table, name).rpartition(".")
        if struct:
            features.setdefault(struct, {"name": struct, "struct": []})["struct"].append(_feature(table.column(field)))
        else:
            features[name] = _feature(table.column(name))
    return list(features.values())


def _feature(column: Column) -> dict[str, str]:
    """One column as `datasets` describes it: {"name": "text", "dtype": "string"}."""
    dtype = column.dtype.removeprefix("list[").removesuffix("]")
    dtype = {"timestamp": "timestamp[us, tz=UTC]"}.get(dtype, dtype)
    return {"name": column.name, ("list" if column.dtype.startswith("list[") else "dtype"): dtype}


def _text(
    table: Table,
    configs: Mapping[str, Counts],
    total: Counts,
    described: Mapping[str, Any],
    release: Release,
    has_licence: bool,
    examples: Mapping[str, Mapping[str, Any]],
) -> str:
    out = table.published
    columns = dict.fromkeys([*out.columns, *(name for config in configs for name in out.columns_of(config))])
    first = next(name for name, counts in configs.items() if counts.rows)
    empty = [name for name, counts in configs.items() if not counts.rows]
    sections = [
        f"# {out.title}\n\n{markdown.plain(table.description)}",
        "This is a reproduction: Nemotron Lakehouse made it with published methods. It is not a dataset of NVIDIA, and "
        "NVIDIA has neither made nor reviewed it.",
        "```python\nfrom datasets import load_dataset\n\n"
        f'load_dataset("path/to/this/folder", "{first}", split="train", streaming=True)\n```',
        "## Configs\n\n"
        + ("Tokens are estimated at four characters each. " if total.characters else "")
        + (f"Configs without documents: {', '.join(empty)}. {_EMPTY[out.empty_configs]}\n\n" if empty else "")
        + markdown.table(
            ("config", "documents", "tokens", "languages", "Parquet MB"),
            [
                (
                    name,
                    f"{c.rows:,}",
                    f"{c.tokens:,}" if c.characters else "-",
                    len(c.languages) or "-",
                    f"{c.file_bytes / 1e6:,.1f}",
                )
                for name, c in [*configs.items(), (markdown.bold("all"), total)]
            ],
        ),
        "## Columns\n\n"
        + markdown.table(
            ("column", "type", "meaning", "configs"),
            [
                (_shown(table, c), table.column(c).dtype, table.column(c).meaning, _configs_with(table, configs, c))
                for c in columns
            ],
        ),
    ]
    if examples:
        sections.append("## Examples\n\n" + "\n\n".join(starmap(_example, examples.items())))
    if total.languages:
        sections.append("## Languages\n\n" + _histogram("language", dict(total.languages.most_common())))
    for name, counts in described["histograms"].items():
        sections.append(f"## {_title(name)}\n\n" + _histogram(name, counts))
    if total.snapshots:
        sections.append("## Snapshots\n\n" + _histogram("snapshot", dict(sorted(total.snapshots.items()))))
    if described["settings"]:
        sections.append(
            "## Settings\n\nPersonal data, opt-outs, deduplication and filters, as the recipe set them when this was "
            "exported. The list of who opted out is not published.\n\n"
            + markdown.table(
                ("setting", "value"), [(markdown.code(key), value) for key, value in described["settings"].items()]
            )
        )
    sections += [
        "## Provenance\n\n" + markdown.table(("", ""), _provenance(described)),
        _licence(release, has_licence),
    ]
    return "\n\n".join(sections) + "\n"


def _example(config: str, row: Mapping[str, Any]) -> str:
    """A row of a config as JSON. Long texts are cut; their line breaks are written as \\n, so no fence ends early."""
    shown = {
        name: f"{value[:_EXAMPLE]} …" if isinstance(value, str) and len(value) > _EXAMPLE else value
        for name, value in row.items()
    }
    return (
        f"### {markdown.plain(config)}\n\n```json\n{json.dumps(shown, indent=2, ensure_ascii=False, default=str)}\n```"
    )


def _configs_with(table: Table, configs: Mapping[str, Counts], column: str) -> str:
    """The configs that have a column, separated by commas; "all" for a column of every config."""
    having = [config for config in configs if column in table.published.columns_of(config)]
    return "all" if len(having) == len(configs) else ", ".join(having)


def _shown(table: Table, column: str) -> str:
    """The published name of a column: "metadata.category" for a column of the struct "metadata"."""
    return next((f"{struct}.{column}" for struct, names in table.published.structs.items() if column in names), column)


def _title(name: str) -> str:
    """The heading of a histogram: "web.quality.bucket" becomes "Documents by bucket (web.quality)"."""
    table, _, column = name.rpartition(".")
    declared = all_tables()[table]
    return f"Documents by {column} ({declared.full_name})"


def _provenance(described: Mapping[str, Any]) -> list[tuple[str, str]]:
    inputs = ", ".join(f"{name}@{version}" for name, version in described["inputs"].items())
    generators = ", ".join(f"{name} ({rows:,} texts)" for name, rows in described["generators"].items())
    rows = [
        ("table", f"{described['table']}, Delta version {described['delta_version']}"),
        ("written", f"{described['written']} by run {described['run'] or 'unknown'}"),
        ("made from", inputs or "no other table"),
        (f"{described['partitioned_by'] or 'snapshot'}s", ", ".join(described["partitions"] or []) or "none"),
        ("recipe", f"{described['recipe']}, hash {described['recipe_hash']}"),
        ("code", f"{described['package']}, asset version {described['code_version'] or 'unknown'}"),
        ("generators", generators or "none"),
    ]
    return [(markdown.bold(name), value) for name, value in rows]


def _licence(release: Release, has_licence: bool) -> str:
    name = release.licence_name if release.licence == "other" else release.licence
    where = " Its text, and which licence applies to which part, is in [LICENSE.md](LICENSE.md)." if has_licence else ""
    return f"## Licence\n\n{markdown.plain(name[0].upper() + name[1:])}.{where}"


def _histogram(name: str, counts: Mapping[Any, int]) -> str:
    most, total = max(counts.values(), default=0), max(sum(counts.values()), 1)
    lines = [
        (value, f"{rows:,}", f"{rows / total:.1%}", "█" * round(_BAR * rows / max(most, 1)))
        for value, rows in counts.items()
    ]
    return markdown.table((name.rpartition(".")[2], "documents", "share", ""), lines)
