"""datatrove's Gopher quality, Gopher repetition, FineWeb and C4 filters, in the order of its documentation.

    python benchmarks/_heuristics_peers.py texts.json WORDS RUN

It runs in the environment of the peers. WORDS is spacy (the default), split (words between white space) or split-all
(also sentences by a regular expression). RUN is chain (a document that fails a filter is not shown to the next one) or
every (each filter sees every document). It prints the CPU seconds of the filters alone, the number of documents, and
the number of kept documents as JSON.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def splitter(kind: str):
    """A tokenizer of datatrove with a cheaper way to find words, and for split-all also sentences."""
    from datatrove.utils.word_tokenizers import SpaCyTokenizer

    class Split(SpaCyTokenizer):
        def word_tokenize(self, text):
            return text.split()

    class SplitAll(Split):
        def span_tokenize(self, text):
            ends = [match.start() for match in SENTENCE_END.finditer(text)]
            return list(zip([0, *ends], [*ends, len(text)], strict=True))

    return {"split": Split, "split-all": SplitAll}[kind]("en")


def main(source: str, words: str, run: str) -> None:
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )

    kinds = (GopherQualityFilter, GopherRepetitionFilter, FineWebQualityFilter, C4QualityFilter)
    filters = [kind() for kind in kinds]
    if words != "spacy":
        for each in filters:
            each.language = splitter(words)
    documents = [Document(text, str(n)) for n, text in enumerate(json.loads(Path(source).read_text()))]
    for each in filters:
        each.filter(Document("The first one is slow. " * 30, "warm"))
    kept = 0
    started = time.process_time()
    for document in documents:
        failed = False
        for each in filters:
            failed |= each.filter(document) is not True
            if failed and run == "chain":
                break
        kept += not failed
    print(json.dumps({"seconds": time.process_time() - started, "documents": len(documents), "kept": kept}))


if __name__ == "__main__":
    main(*sys.argv[1:])
