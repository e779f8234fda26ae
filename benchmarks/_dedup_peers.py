"""The peers of the deduplication benchmark, used as their documentation says; they run in an environment of their own.

    python benchmarks/_dedup_peers.py NAME documents.parquet out.parquet

All peers use lower-case 5-grams of words and 260 permutations in 20 bands of 13 rows. Each reads (id, text) from
Parquet and writes (id, cluster, removed) to Parquet: cluster is the smallest id of a group, and all other documents of
the group are removed. A library that takes shingles from its caller gets their set, made in the fastest way that Python
has. If a library has a faster function for many documents, that function is used.
"""

from __future__ import annotations

import gc
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

BANDS, ROWS, SHINGLE, SEED, THRESHOLD = 20, 13, 5, 42, 0.8
PERMUTATIONS = BANDS * ROWS
BATCH = 1000
WORD = re.compile(r"[^\W_]+")


def batches(source: str) -> Iterator[tuple[list[int], list[str]]]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(source).iter_batches(BATCH):
        yield batch["id"].to_pylist(), batch["text"].to_pylist()


def shingles(text: str) -> set[str]:
    words = WORD.findall(text.lower())
    if len(words) < SHINGLE:
        return {" ".join(words)} if words else set()
    return set(map(" ".join, zip(*(words[k:] for k in range(SHINGLE)), strict=False)))


class Groups:
    """Union-find over ids whose roots are the smallest ids."""

    def __init__(self):
        self.parent = {}

    def root(self, item: int) -> int:
        while (above := self.parent.get(item, item)) != item:
            self.parent[item] = item = self.parent.get(above, above)
        return item

    def join(self, one: int, other: int) -> None:
        one, other = self.root(one), self.root(other)
        if one != other:
            self.parent[max(one, other)] = min(one, other)


def write(target: str, ids: list[int], cluster: list[int]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    removed = [id != first for id, first in zip(ids, cluster, strict=True)]
    pq.write_table(pa.table({"id": ids, "cluster": cluster, "removed": removed}), target)


def datasketch(source: str, target: str) -> None:
    from datasketch import MinHash, MinHashLSH
    from xxhash import xxh32_intdigest

    index = MinHashLSH(num_perm=PERMUTATIONS, params=(BANDS, ROWS))
    permutations = MinHash(PERMUTATIONS, seed=SEED).permutations
    every, groups = [], Groups()
    for ids, texts in batches(source):
        every += ids
        for id, text in zip(ids, texts, strict=True):
            sketch = MinHash(
                PERMUTATIONS, seed=SEED, hashfunc=xxh32_intdigest, permutations=permutations, scheme="affine32"
            )
            sketch.update_batch([shingle.encode() for shingle in shingles(text)])
            for other in index.query(sketch):
                groups.join(id, other)
            index.insert(id, sketch, check_duplication=False)
    write(target, every, [groups.root(id) for id in every])


def rensa(source: str, target: str) -> None:
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
    every, groups = [], Groups()
    for ids, texts in batches(source):
        sketches = RMinHash.from_token_sets([shingles(text) for text in texts], PERMUTATIONS, SEED)
        for id, sketch in zip(ids, sketches, strict=True):
            for other in index.query(sketch):
                groups.join(id, other)
            index.insert(id, sketch)
        every += ids
    write(target, every, [groups.root(id) for id in every])


def gaoya(source: str, target: str) -> None:
    from gaoya.minhash import MinHashStringIndex

    # The threshold applies to the estimate from the signature. With 0.5 all pairs that the bands find pass, as in the
    # other libraries.
    index = MinHashStringIndex(32, 0.5, BANDS, ROWS, None, "word", True, (SHINGLE, SHINGLE), "vec")
    every, groups = [], Groups()
    for ids, texts in batches(source):
        every += ids
        index.par_bulk_insert_docs(ids, texts)
        for id, others in zip(ids, index.par_bulk_query(texts), strict=True):
            for other in others:
                groups.join(id, other)
    write(target, every, [groups.root(id) for id in every])


def datatrove(source: str, target: str) -> None:
    import struct

    import pyarrow.parquet as pq
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader

    config = MinhashConfig(n_grams=SHINGLE, num_buckets=BANDS, hashes_per_bucket=ROWS, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        stages = [
            (
                [
                    ParquetReader(str(Path(source).parent), glob_pattern=Path(source).name, batch_size=BATCH),
                    MinhashDedupSignature(f"{folder}/signatures", config),
                ],
                1,
            ),
            (
                [MinhashDedupBuckets(f"{folder}/signatures", f"{folder}/buckets", config=config, lines_to_buffer=1000)],
                BANDS,
            ),
            (
                [
                    MinhashDedupCluster(
                        f"{folder}/buckets",
                        f"{folder}/clusters",
                        config=config,
                        save_cluster_id=True,
                        lines_to_buffer=1000,
                    )
                ],
                1,
            ),
        ]
        for number, (pipeline, tasks) in enumerate(stages):
            LocalPipelineExecutor(
                pipeline, tasks=tasks, workers=1, logging_dir=f"{folder}/logs{number}", skip_completed=False
            ).run()
        clusters = Path(folder, "clusters", "000000.clusters")
        found = list(struct.iter_unpack("<2I", clusters.read_bytes())) if clusters.exists() else []
    ids = pq.read_table(source, columns=["id"])["id"].to_pylist()
    first, cluster = {}, list(ids)
    for document, group in found:
        cluster[document] = first.setdefault(group, ids[document])
    write(target, ids, cluster)


def text_dedup(source: str, target: str) -> None:
    import os

    import text_dedup.minhash as program

    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_DATASETS_CACHE"] = f"{folder}/cache"
        options = {
            "path": "parquet",
            "data_files": source,
            "split": "train",
            "cache_dir": f"{folder}/cache",
            "output": f"{folder}/out",
            "column": "text",
            "batch_size": 10000,
            "num_proc": 1,
            "ngram": SHINGLE,
            "min_length": 1,
            "num_perm": PERMUTATIONS,
            "b": BANDS,
            "r": ROWS,
            "seed": SEED,
            "hash_func": "xxh3",
            "hash_bits": 32,
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        program.main(arguments, standalone_mode=False)
    import pyarrow.parquet as pq

    ids = pq.read_table(source, columns=["id"])["id"].to_pylist()  # its own ids are positions
    roots = [program.uf.find(position) for position in range(len(ids))]
    first: dict[int, int] = {}
    write(target, ids, [first.setdefault(root, id) for id, root in zip(ids, roots, strict=True)])


def daft(source: str, target: str) -> None:
    """Daft has an expression for signatures, and no index; equal bands are found with NumPy."""
    import os

    os.environ["DAFT_RUNNER"], os.environ["DAFT_PROGRESS_BAR"] = "native", "0"
    import daft
    import numpy as np
    from daft.functions import minhash, normalize

    words = normalize(daft.col("text"), remove_punct=True, lowercase=True, nfd_unicode=False, white_space=True)
    sketch = minhash(words, num_hashes=PERMUTATIONS, ngram_size=SHINGLE, seed=SEED, hash_function="xxhash3_64")
    found = daft.read_parquet(source).select(daft.col("id"), sketch.alias("sketch")).to_arrow().combine_chunks()
    ids = found["id"].to_numpy()
    column = found["sketch"].chunk(0) if found["sketch"].num_chunks else found["sketch"]
    sketches = column.flatten().to_numpy().reshape(len(ids), PERMUTATIONS).astype(np.uint64)
    factors = np.random.default_rng(SEED).integers(0, 2**64, ROWS, np.uint64) | np.uint64(1)
    groups = Groups()
    for band in range(BANDS):
        keys = sketches[:, band * ROWS : (band + 1) * ROWS] @ factors
        order = np.argsort(keys, kind="stable")
        for place in np.flatnonzero(keys[order[1:]] == keys[order[:-1]]).tolist():
            groups.join(int(ids[order[place]]), int(ids[order[place + 1]]))
    every = ids.tolist()
    write(target, every, [groups.root(id) for id in every])


PEERS = {
    "daft": daft,
    "datatrove": datatrove,
    "text-dedup": text_dedup,
    "datasketch": datasketch,
    "gaoya": gaoya,
    "rensa": rensa,
}

if __name__ == "__main__":
    gc.disable()  # as for ours: the collector would visit many objects and find no cycles
    name, source, target = sys.argv[1:]
    # Modules of this folder have the names of other modules, such as code; none of them is needed here.
    sys.path.pop(0)
    PEERS[name](source, target)
    gc.freeze()
