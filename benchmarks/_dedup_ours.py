"""Our contender of the deduplication benchmark: the library in memory, from Parquet to Parquet.

python -m benchmarks._dedup_ours documents.parquet out.parquet
"""

from __future__ import annotations

import gc
import sys


class Texts:
    """The texts of a Parquet file; each iteration reads the file again."""

    def __init__(self, source: str):
        self.source = source

    def __iter__(self):
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.source, memory_map=True) as file:
            for batch in file.iter_batches(500, columns=["text"], use_threads=False):
                yield batch["text"]


def column(values, present=None):
    """A numpy array as an arrow array. `pa.array` does the same, but it imports pandas, and so does `to_numpy`."""
    import numpy as np
    import pyarrow as pa

    if values.dtype == bool:
        bits, type = np.packbits(values, bitorder="little"), pa.bool_()
    else:
        bits, type = values, pa.from_numpy_dtype(values.dtype)
    valid = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(type, len(values), [valid, pa.py_buffer(bits)])


def main(source: str, target: str) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nemotron_assets.dedup.in_memory import find

    found = find(Texts(source), keep_mb=512)
    with pq.ParquetFile(source) as file:
        chunks = file.read(columns=["id"], use_threads=False)["id"].chunks
    ids = np.concatenate(
        [np.frombuffer(chunk.buffers()[1], np.int64, len(chunk), 8 * chunk.offset) for chunk in chunks]
    )
    removed = found.duplicate_of >= 0
    columns = {
        "id": column(ids),
        "cluster": column(ids[found.cluster]),
        "removed": column(removed),
        "duplicate_of": column(ids[found.duplicate_of], removed),
        "similarity": column(found.duplicate_similarity, removed),
    }
    pq.write_table(pa.table(columns), target)


if __name__ == "__main__":
    gc.disable()  # as for the peers: the collector would mostly visit numba's types
    main(*sys.argv[1:])
    gc.freeze()
