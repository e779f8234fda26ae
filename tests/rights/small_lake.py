"""A tiny lake for tests of `nemotron forget`: two snapshots of own files, and repositories from folders of archives.

`without` leaves out sources as if they had never been there: a row becomes an empty one, so that the rows after it keep
their places, and a repository is not offered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from random import Random

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.sources import assets as code
from nemotron_assets.code.sources.tables import DUPLICATES as DUPLICATE_FILES
from nemotron_assets.code.sources.tables import FILES, REPOSITORIES
from nemotron_assets.math.assets import ASSETS as MATH
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.assets import pages
from nemotron_assets.snapshots.ingest import describe, ingest
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.schema import Table
from nemotron_assets.web.assets import documents
from nemotron_assets.web.dedup.assets import ASSETS as DEDUP
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse
from tests.code.sources.house import licenses
from tests.resources.repositories.places import limits, source, tar

SNAPSHOTS = ("A", "B")
BY_SNAPSHOT = (
    PAGES, DOCUMENTS, SIGNATURES, NEAR_DUPLICATES, DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS, CANDIDATE_PAGES,
    RENDERED,
)  # fmt: skip
OF_WEB = BY_SNAPSHOT[:-2]
OF_CODE = (REPOSITORIES, FILES, LICENSES, DUPLICATE_FILES)
_ASSETS = [
    pages, documents, *DEDUP, *(a for a in MATH if a.key in {CANDIDATE_PAGES.asset_key, RENDERED.asset_key}),
    code.repositories, code.files, licenses, code.duplicates,
]  # fmt: skip
_SENTENCE = (
    "the river carries small boats along its quiet banks while people watch them from wooden bridges and tell each "
    "other how the water rose last spring when snow melted in the hills and fields were wet until the summer came"
)


def text(seed: int, paragraphs: int = 4) -> str:
    """English-looking text, another one for each seed."""
    draw = Random(seed)
    return "\n\n".join(" ".join(draw.choices(_SENTENCE.split(), k=60)).capitalize() + "." for _ in range(paragraphs))


def page(body: str) -> str:
    paragraphs = "".join(f"<p>{part}</p>" for part in body.split("\n\n"))
    return f"<html><head><title>A page</title></head><body><div>{paragraphs}</div></body></html>"


SHARED = text(7, 6)  # the span that two different pages share
MOVED = text(1)  # the text of which there are near copies
ROWS = {
    "A": [
        ("https://gone.example/one", page(text(20))),
        ("https://www.gone.example/two", page(f"{text(21)}\n\n{SHARED}")),
        ("https://stays.example/page", page(MOVED)),
        ("https://mirror.example/copy", page(f"{MOVED} One more remark follows.")),
        ("https://maths.example/f", page(f"{text(30)}\n\nThen \\(x^2 + \\frac{{1}}{{2}}\\) is \\(y_1\\).")),
        ("https://gone.example/maths", page(f"{text(31)}\n\nThen \\(a^2 + \\frac{{1}}{{b}}\\) is \\(c_1\\).")),
    ],
    "B": [
        ("http://stays.example:80/page#later", page(f"{MOVED} It was changed a little.")),
        ("https://other.example/same", page(text(20))),
        ("https://other.example/span", page(f"{text(22)}\n\n{SHARED}")),
    ],
}  # fmt: skip
_CODE = "".join(f"def area_{n}(width, height):\n    return width * height + {n}\n\n\n" for n in range(12))
REPOSITORIES_OF = {"gone/lib": {"lib.py": _CODE, "own.py": "print(1)\n"}, "kept/fork": {"lib.py": _CODE}}


class SmallLake:
    """The lake below `folder`, its sources, and the instance that remembers what was made."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, without: Collection[str] = ()) -> None:
        self.lake, self.instance = Lakehouse(root=str(folder / "lake")), instance
        self._compute = Compute(**{**current_recipe().compute.model_dump(), "workers": 1})
        for snapshot, rows in ROWS.items():
            lines = [
                json.dumps({"url": url, "html": "" if url in without else html, "date": f"2024-01-{day:02}"})
                for day, (url, html) in enumerate(rows, 1)
            ]
            (folder / snapshot).mkdir(parents=True)
            (folder / snapshot / "rows.jsonl").write_text("\n".join(lines))
            ingest(self.lake, instance, snapshot, describe([folder / snapshot], snapshot, html_column="html"))
        for name, files in REPOSITORIES_OF.items():
            if name not in without:
                archive = folder / "code" / f"{name}.tar"
                archive.parent.mkdir(parents=True, exist_ok=True)
                archive.write_bytes(tar([(f"x/{path}", data.encode(), {}) for path, data in files.items()], mode="w"))
                os.utime(archive, (1_700_000_000,) * 2)
        sections = {"code.sources": limits(sources=[source("own", "archive", folder / "code")])}
        self.recipe = current_recipe().with_sections(sections)

    def make(self, tables: Collection[Table]) -> None:
        """Make tables, each in all its partitions."""
        crawl = Crawl.from_recipe(self.recipe.snapshots.crawl)
        resources = {"lake": self.lake, "io_manager": self.lake, "recipe": self.recipe, "compute": self._compute}
        for some, partitions in ((BY_SNAPSHOT, SNAPSHOTS), (OF_CODE, (None,))):
            wanted = [table.asset_key for table in some if table in tables]
            for partition in partitions if wanted else ():
                dg.materialize(
                    _ASSETS,
                    instance=self.instance,
                    selection=wanted,
                    partition_key=partition,
                    resources={**resources, "crawl": crawl},
                )

    def versions(self) -> dict[tuple[str, str | None], str]:
        """{(table, partition): its data version as Dagster knows it} of all tables that were made."""
        found = {}
        for some, partitions in ((BY_SNAPSHOT, SNAPSHOTS), (OF_CODE, (None,))):
            for table in some:
                for partition in partitions:
                    wanted = dg.AssetRecordsFilter(table.asset_key, asset_partitions=[partition] if partition else None)
                    for record in self.instance.fetch_materializations(wanted, limit=1).records:
                        found[table.full_name, partition] = record.asset_materialization.tags["dagster/data_version"]
        return found

    def close(self) -> None:
        self._compute.close()
