"""Real text for the blend's tests: the pages of one WARC file of the sample, and a small vocabulary trained on them."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[2] / "nemotron_assets" / "sample"


@pytest.fixture(scope="session")
def sample_texts() -> list[str]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    file = sorted(SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz"))[0]
    texts = []
    with file.open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            if record.http_headers and record.http_headers.status_code == 200:
                tree = HTMLTree.parse_from_bytes(record.reader.read(), "utf-8")
                texts.append(extract_plain_text(tree, main_content=True))
    return [text for text in dict.fromkeys(texts) if len(text) > 50]


@pytest.fixture(scope="session")
def vocabulary_folder(sample_texts, tmp_path_factory) -> Path:
    from nemotron_assets.text import tokenizer as bpe

    folder = tmp_path_factory.mktemp("vocabulary") / "tokenizer"
    bpe.save(bpe.train([sample_texts[:60]], vocabulary=2_048, specials=32, min_frequency=2), folder, 512)
    return folder


@pytest.fixture(scope="session")
def vocabulary(vocabulary_folder):
    from nemotron_assets.text import tokenizer as bpe

    return bpe.load(vocabulary_folder)
