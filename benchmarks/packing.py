"""Ten million documents are packed in linear time, at least 99.5% full, and packed sequences are read at 20M tokens/s.

Lengths of documents are log-normal (median 400 tokens, a few longer than a sequence of 8,192). Ours is compared with
TRL's packing (`bfd_split`, which keeps all tokens) and with a plain best-fit decreasing that searches a sorted list of
rooms: both get fewer documents, because they are slower. The fill is tokens per token of room. Reading is measured from
files that are mapped into memory, in the order of the mixture of thirteen categories, on one core.
"""

from __future__ import annotations

import argparse
import bisect
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Claim, table, verdict

LENGTH = 8_192


def sizes_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).lognormal(np.log(400), 1.3, count).astype(np.int64) + 1


def plain_best_fit(sizes: np.ndarray, length: int) -> int:
    """The number of sequences of best-fit decreasing with a sorted list of free rooms."""
    rooms: list[int] = []
    count = int((sizes // length).sum())
    for size in sorted((int(size) for size in sizes % length if size), reverse=True):
        at = bisect.bisect_left(rooms, size)
        if at < len(rooms):
            room = rooms.pop(at) - size
        else:
            room, count = length - size, count + 1
        if room:
            bisect.insort(rooms, room)
    return count


def trl_packing(sizes: np.ndarray, length: int) -> int:
    """The number of sequences of TRL's packing, for documents of zeros."""
    import pyarrow as pa
    from datasets import Dataset, disable_progress_bars
    from trl import pack_dataset

    disable_progress_bars()

    ends = np.concatenate([[0], np.cumsum(sizes)])
    tokens = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(np.zeros(ends[-1], np.int32)))
    return len(pack_dataset(Dataset(pa.table({"input_ids": tokens})), length, "bfd_split"))


def our_packing(sizes: np.ndarray, length: int) -> int:
    from nemotron_assets.training.packing import pack

    return pack(sizes, length, seed=0).count


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    before = time.process_time()
    result = function()
    return time.process_time() - before, result


def reading(length: int, megatokens: float) -> float:
    """Tokens per CPU second, read in batches of 736 sequences of thirteen categories with two shards each."""
    from nemotron_assets.training.mapped import Shard, ShardFiles
    from nemotron_assets.training.mixture import Entry, Mixture, Source
    from nemotron_assets.training.packing import pack

    def make(number: int) -> Shard:
        sizes = sizes_of(4_000 + number)
        first, packed = np.cumsum(sizes) - sizes, pack(sizes, length, number)
        tokens = np.random.default_rng(number).integers(0, 131_072, sizes.sum(), dtype=np.int32)
        return Shard(tokens, packed.bounds, first[packed.documents] + packed.offsets, packed.lengths)

    with tempfile.TemporaryDirectory(prefix="nemotron-packing-") as folder:
        files = ShardFiles(Path(folder), make)
        counts = [len(files[number].bounds) - 1 for number in range(26)]
        sources = [Source(f"s{k}", f"c{k}", (counts[2 * k], counts[2 * k + 1])) for k in range(13)]
        mixture = Mixture(0, [Entry("all", 1, {f"c{k}": k + 1 for k in range(13)})], sources, 736, 16)
        files = ShardFiles(Path(folder), make)

        def read(first: int) -> int:
            step, tokens = first, 0
            while tokens < megatokens * 1e6:
                rows = mixture.rows(step)
                for source, shard, row in zip(
                    rows.sources.tolist(), rows.shards.tolist(), rows.rows.tolist(), strict=True
                ):
                    tokens += len(files[2 * source + shard].read(row).tokens)
                step += 1
            return tokens

        read(1)  # compiles, and maps the files
        spent, tokens = seconds(lambda: read(1_000))
    return tokens / spent


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="packing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one million documents instead of ten")
    options = parser.parse_args(argv)
    most = 10**6 if options.quick else 10**7
    our_packing(sizes_of(100), LENGTH)  # compiles
    trl_packing(sizes_of(10), LENGTH)  # imports
    systems = {"ours": our_packing, "TRL bfd_split": trl_packing, "best fit, sorted list": plain_best_fit}
    plan = {"ours": [most // 100, most // 10, most], "TRL bfd_split": [most // 1_000, most // 100]}
    plan["best fit, sorted list"] = [most // 100, most // 10]
    rows, rates, fills = [], {}, {}
    for name, counts in plan.items():
        for count in counts:
            sizes = sizes_of(count)
            spent, sequences = seconds(lambda s=sizes, pack=systems[name]: pack(s, LENGTH))
            rates[name, count], fills[name, count] = count / spent, sizes.sum() / (sequences * LENGTH)
            rows.append([name, f"{count:,}", spent, count / spent, f"{fills[name, count]:.4%}", f"{sequences:,}"])
    print(table(["system", "documents", "CPU s", "documents/s", "fill", "sequences"], rows), flush=True)
    speed = {length: reading(length, 20 if options.quick else 100) for length in (512, LENGTH)}
    print(table(["read from mapped shards, tokens per sequence", "tokens/s"], [[k, v] for k, v in speed.items()]))
    shared = most // 100
    return verdict(
        [
            Claim("fill", fills["ours", most], at_least=0.995),
            # The arrays of a million documents fit into a processor's cache, those of ten million do not.
            Claim(
                "ten times as many documents take, times",
                10 * rates["ours", most // 10] / rates["ours", most],
                at_most=20,
            ),
            Claim(
                "fill beside best fit with a list",
                fills["ours", shared] / fills["best fit, sorted list", shared],
                at_least=0.9999,
            ),
            Claim("speed, times TRL", rates["ours", shared] / rates["TRL bfd_split", shared], at_least=2),
            Claim("tokens/s read, sequences of 8,192", speed[LENGTH] / 1e6, "million", at_least=20),
            Claim("tokens/s read, sequences of 512", speed[512] / 1e6, "million", at_least=20),
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
