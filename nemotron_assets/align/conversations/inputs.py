"""What conversations and prompts are made from: the recipe, the suite, tables of SFT data, benchmarks, a tokenizer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.align.conversations.from_records import (
    Record,
    conversations,
    files,
    own_files,
    read_file,
    read_hub,
)
from nemotron_assets.align.conversations.from_sft import SftTable, held_out_questions
from nemotron_assets.align.conversations.rows import question_hash
from nemotron_assets.align.conversations.screening import Screen
from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.contamination.removed import removed_rows
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.align.conversations import HubSource, SftSource
from nemotron_assets.recipe.categories import CONTAMINATED
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.parts import Rejects
from resources.lakehouse import Lakehouse, Reader

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from nemotron_assets.align.conversations.safety import Labelled
    from nemotron_assets.generation.writing import Writer

OWN, BENCHMARKS, TOKENIZER = "own", "evaluate.benchmarks", "blend.tokenizer"


@dataclass(frozen=True)
class Inputs:
    """The tables that the data of the post-training is made from, by their full names. `writer` starts a language
    model, by the name that the recipe has for it."""

    recipe: Recipe
    lake: Lakehouse
    tables: Mapping[str, Reader]
    writer: Callable[[str], Writer]
    rejects: Rejects = field(default_factory=Rejects)

    @classmethod
    def of(
        cls, recipe: Recipe, lake: Lakehouse, readers: Mapping[str, Reader], writer: Callable[[str], Writer]
    ) -> Inputs:
        """The inputs of an asset, by the names of its arguments."""
        return cls(recipe, lake, {reader.table.full_name: reader for reader in readers.values()}, writer)

    @property
    def suite_items(self) -> Reader:
        return self.tables[SUITE_ITEMS.full_name]

    @functools.cached_property
    def _removed(self) -> dict[str, set[str]]:
        found = self.tables[CONTAMINATED]
        return removed_rows(found if found.exists else None, self.lake)

    def sft_tables(self, sources: Mapping[str, SftSource]) -> Iterator[SftTable]:
        """The tables of SFT data that the recipe names, without rows that are held out or have a benchmark item."""
        prompts = self.recipe.align.prompts
        for name, source in sources.items():
            removed = frozenset(self._removed.get(name, ()))
            own_split = "split" in self.tables[name].table.column_names
            asked_only = prompts.held_out_share if name in prompts.sft and not own_split else 0.0
            yield SftTable(self.tables[name], source, self.recipe.blend.held_out_share, removed, asked_only)

    @functools.cached_property
    def held_out_questions(self) -> frozenset[str]:
        """Hashes (`rows.question_hash`) of the questions that prompts hold out: no conversation may learn one, from
        whatever source it comes."""
        suite = self.suite_items.scan().filter(split="held_out").select("question").collect(engine="streaming")
        tables = self.sft_tables(self.recipe.align.prompts.sft)
        asked = (question for table in tables for question in held_out_questions(table))
        return frozenset(map(question_hash, (*suite["question"], *asked)))

    @property
    def held_out_from(self) -> str:
        """What `held_out_questions` depends on."""
        own = self.recipe.align.prompts
        found = (str(table.made_from) for table in self.sft_tables(own.sft))
        return " ".join((self.suite_items.content(), *found))

    @functools.cached_property
    def screen(self) -> Screen:
        return Screen(self.tables[BENCHMARKS], self.recipe.sft.release.contamination)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        from nemotron_assets.text.tokenizer import load

        return load(self.lake.get_weights(self.tables[TOKENIZER].only_row()["uri"]))

    @property
    def screened(self) -> str:
        """What a part depends on that is screened, and of which copies are made."""
        return " ".join(self.tables[name].content() for name in (BENCHMARKS, TOKENIZER))

    # -- conversations from outside of the lake ------------------------------------------------------------------------

    def own(self) -> Iterator[Labelled]:
        """The project's own conversations, with the labels of those on safety."""
        records = (record for path in own_files() for record in read_file(path, f"{OWN}/{path.stem}"))
        yield from conversations(records, OWN, "chat", self.rejects.add)

    @functools.cached_property
    def own_hash(self) -> str:
        return content_hash("".join(path.read_text("utf-8") for path in own_files()))

    def hub(self, source: HubSource, key: str, answered: bool = True) -> Iterator[Labelled]:
        """The conversations of a data set of the hub. `key` is the place in the recipe that names it. Unless
        `answered`, a user's message may end them."""
        records = read_hub(source, key)
        yield from conversations(
            records, part_of(source), source.domain, self.rejects.add, source.language, answered=answered
        )

    def local(self) -> Iterator[tuple[str, str, Callable[[], Iterator[Labelled]]]]:
        """(part, fingerprint, its conversations) for every local file that the recipe names."""
        for source in self.recipe.align.conversations.files:
            for path in files(source):
                seen = path.stat()
                made_from = f"{source.model_dump_json()} {seen.st_size} {seen.st_mtime_ns}"
                read = functools.partial(self._file, path, source.domain, source.max_rows)
                yield f"files/{path.name}", made_from, read

    def _file(self, path: Path, domain: str, most: int | None) -> Iterator[Labelled]:
        records: Iterator[Record] = islice(read_file(path, f"files/{path.name}"), most)
        yield from conversations(records, f"files/{path.name}", domain, self.rejects.add)


def part_of(source: HubSource) -> str:
    """The part of a data set of the hub, which is also its name for people."""
    return "/".join(filter(None, (source.dataset, source.config, source.split)))


def no_writer(name: str) -> Writer:
    """For assets that ask no language model."""
    raise RuntimeError(f"this asset asks no language model, but was to start {name}")
