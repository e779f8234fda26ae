"""gigatoken turns text into the ids of tokenizers and tiktoken, at least 10 times as fast as tokenizers once warm.

The texts are the pages of the embedded crawl (28 languages), then documentation of this machine. The vocabulary is the
published one of 131,072 entries. All systems run on one thread, as `blend.token_shards` uses its encoder: MB of UTF-8
per second of CPU time. Cold is the first pass over the texts in a new process, warm is the second one: gigatoken and
tiktoken remember words that they have seen. The ids of every text are compared.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.harness import Claim, measure, table, verdict

SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample"
SYSTEMS = ("gigatoken", "tiktoken", "tokenizers")
ONE_THREAD = {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "POLARS_MAX_THREADS": "1"}


def corpus(megabytes: float) -> Iterator[str]:
    """The pages of the sample crawl, then documentation of this machine."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    from benchmarks.ingest import texts

    def pages() -> Iterator[str]:
        for file in sorted(SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz")):
            with file.open("rb") as stream:
                for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                    if record.http_headers and record.http_headers.status_code == 200:
                        tree = HTMLTree.parse_from_bytes(record.reader.read(), "utf-8")
                        yield extract_plain_text(tree, main_content=True)

    size = 0
    for text in itertools.chain(pages(), (text for _, text in texts())):
        if size >= megabytes * 1e6:
            return
        if text.strip():
            size += len(text.encode("utf-8", "replace"))
            yield text.encode("utf-8", "replace").decode()


def encoder_of(system: str, folder: Path) -> Callable[[Sequence[str]], list[list[int]]]:
    """Turns texts into ids with one of the systems, for the vocabulary in `folder`."""
    import numpy as np

    if system != "tiktoken":
        from nemotron_assets.blend import encoder

        encoder.COMPARE_EVERY = 1 << 62  # the comparison is not what is measured
        made = encoder.Encoder(folder, system)
        made._seen = 1
        return made.encode
    import base64

    import tiktoken

    from nemotron_assets.text.tokenizer import tekken_file

    data, specials = json.loads(tekken_file().read_text("utf-8")), 1_000
    pieces = [base64.b64decode(entry["token_bytes"]) for entry in data["vocab"][: 131_072 - specials]]
    ranks = {piece: rank for rank, piece in enumerate(pieces)}
    made = tiktoken.Encoding("tekken", pat_str=data["config"]["pattern"], mergeable_ranks=ranks, special_tokens={})
    return lambda texts: [made.encode_to_numpy(text).astype(np.int32) + specials for text in texts]


def child(system: str, folder: Path, corpus_file: Path, ids_file: Path) -> None:
    """Encode the texts twice, print the CPU seconds of both passes, and write a hash of the ids of every text."""
    import xxhash

    texts = json.loads(corpus_file.read_text("utf-8"))
    encode, seconds, ids = encoder_of(system, folder), [], []
    for _ in range(2):
        ids, before = [], time.process_time()
        for start in range(0, len(texts), 256):
            ids += encode(texts[start : start + 256])
        seconds.append(time.process_time() - before)
    hashes = [xxhash.xxh3_128_hexdigest(each.tobytes()) for each in ids]
    ids_file.write_text(json.dumps({"hashes": hashes, "tokens": sum(map(len, ids))}))
    print(json.dumps(seconds))


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tokenizing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 MB instead of 32, one round instead of three")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        system, *paths = options.child
        child(system, *map(Path, paths))
        return 0
    megabytes, rounds = (8, 1) if options.quick else (32, 3)

    from nemotron_assets.text import tokenizer as bpe

    with tempfile.TemporaryDirectory(prefix="nemotron-tokenizing-") as name:
        folder = Path(name)
        bpe.save(bpe.from_tekken(bpe.tekken_file(), 131_072, 1_000), folder / "tokenizer", 8_192)
        texts = list(corpus(megabytes))
        (folder / "texts.json").write_text(json.dumps(texts), "utf-8")
        size = sum(len(text.encode()) for text in texts) / 1e6
        print(f"{len(texts):,} texts, {size:.1f} MB", flush=True)
        rates: dict[str, list[tuple[float, float]]] = {system: [] for system in SYSTEMS}
        for number in range(rounds):
            for system in SYSTEMS if number % 2 == 0 else reversed(SYSTEMS):
                paths = [folder / "tokenizer", folder / "texts.json", folder / f"{system}.json"]
                command = [sys.executable, "-m", "benchmarks.tokenizing", "--child", system, *map(str, paths)]
                output = measure(command, env={**os.environ, **ONE_THREAD}).output
                cold, warm = json.loads(output.splitlines()[-1])
                rates[system].append((size / cold, size / warm))
        found = {system: json.loads((folder / f"{system}.json").read_text()) for system in SYSTEMS}
    median = {s: [statistics.median(r[k] for r in rates[s]) for k in range(2)] for s in SYSTEMS}
    different = {
        system: sum(a != b for a, b in zip(found["tokenizers"]["hashes"], found[system]["hashes"], strict=True))
        for system in SYSTEMS
    }
    rows = [[s, *median[s], found[s]["tokens"], different[s]] for s in SYSTEMS]
    print(table(["system", "MB/s/core cold", "MB/s/core warm", "tokens", "texts with other ids"], rows))
    by_round = [a[1] / b[1] for a, b in zip(rates["gigatoken"], rates["tokenizers"], strict=True)]
    return verdict(
        [
            Claim("warm, times tokenizers", statistics.median(by_round), at_least=10),
            Claim("cold, times tokenizers", median["gigatoken"][0] / median["tokenizers"][0], at_least=5),
            Claim("texts with other ids than tokenizers", different["gigatoken"], at_most=0),
            Claim("texts with other ids, tiktoken", different["tiktoken"], at_most=0),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
