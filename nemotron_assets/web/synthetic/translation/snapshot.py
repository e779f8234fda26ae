"""Translates the samples of a snapshot into all languages. The rows wait on the disk until they are written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pyarrow as pa

from nemotron_assets.generation.translation.drafts import Draft, translate
from nemotron_assets.generation.translation.prompt import prompt_room
from nemotron_assets.generation.writing import Writer
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.parts import Reject
from nemotron_assets.table.spill import SpillFile
from nemotron_assets.text.language import detect
from nemotron_assets.web.synthetic.tables import TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES
from nemotron_assets.web.synthetic.translation.outcomes import Tally, reject_of, rows
from nemotron_assets.web.synthetic.translation.samples import choose_samples
from resources.lakehouse import Reader


class SnapshotTranslations:
    """One pass over the samples of a snapshot. The constructor does all the work. `tallies` has the counts per
    language."""

    def __init__(self, samples: Reader, recipe: Recipe, writer: Writer, reject: Callable[[Reject], None]) -> None:
        own = recipe.web.translation
        self.tallies = {language: Tally() for language in own.languages}
        self._reject = reject
        self._files = {table.full_name: SpillFile() for table in (TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES)}
        judge = functools.partial(
            detect, model=recipe.web.documents.language_model, characters=recipe.web.documents.language_characters
        )
        chosen = choose_samples(samples.scan(), own).collect_batches(chunk_size=own.batch_samples, engine="streaming")
        drafts = translate(
            (row for frame in chosen for row in frame.iter_rows(named=True)),
            own,
            count=writer.count,
            room=prompt_room(own, writer.prompt_tokens),
            generate=writer.ask,
            detect=judge,
        )
        for table, frame in rows(map(self._count, drafts), writer.name, writer.count):
            self._files[table.full_name].add(frame)

    def translations(self) -> Iterator[pa.RecordBatch]:
        """The rows of `web.translated_diverse_qa`. Can be called once."""
        return self._files[TRANSLATED_DIVERSE_QA.full_name].batches()

    def outcomes(self) -> Iterator[pa.RecordBatch]:
        """The rows of `web.translation_outcomes`. Can be called once."""
        return self._files[TRANSLATION_OUTCOMES.full_name].batches()

    def _count(self, draft: Draft) -> Draft:
        self.tallies[draft.language].add(draft)
        if not draft.accepted:
            self._reject(reject_of(draft))
        return draft
