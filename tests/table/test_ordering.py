"""Documents are sorted, whether they fit into memory or not."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.table import ordering

ROW = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.text(max_size=40))


def frame(rows: list[tuple[str, int, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"group": s, "id": str(n), "text": t, "place": hashlib.md5(str(n // 2).encode()).hexdigest()}
            for s, n, t in rows
        ],
        dict.fromkeys(("group", "id", "text", "place"), pl.String),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ROW, max_size=6).map(frame), max_size=8), st.sampled_from([1, 400, 1 << 20]))
def test_the_order_does_not_depend_on_memory(frames, most):
    rows = pl.concat([frame([]), *frames])
    found = pl.concat([frame([]), *ordering._in_order(frames, most, digit=-1)])
    keys = ["group", "place", "id"]
    assert found.select(keys).equals(rows.select(keys).sort(keys))
    assert found.sort(pl.all()).equals(rows.sort(pl.all()))


def test_rows_of_one_place_that_do_not_fit_end_all_the_same():
    alike = [frame([("a", 1, "x" * 999)]) for _ in range(20)]
    assert pl.concat(ordering._in_order(alike, 1, digit=-1)).height == 20


def test_long_texts_larger_than_memory():
    """400 MB of texts of 1 MB, with 64 MiB to put them in order."""
    program = (
        "import resource\n"
        "from tests.table.test_ordering import long_texts\n"
        "from nemotron_assets.table.ordering import in_order\n"
        "rows, last = 0, ''\n"
        "for f in in_order(long_texts(1), 64): pass\n"  # what the library itself takes
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for f in in_order(long_texts(400), 64):\n"
        "    assert f['place'].is_sorted() and f['place'][0] > last\n"
        "    rows, last = rows + len(f), f['place'][-1]\n"
        "print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    rows, more_kb = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert rows == "400" and int(more_kb) < 200 << 10


def long_texts(count: int):
    letters = random.Random(1)
    for n in range(count):
        yield frame([("a", 2 * n, letters.randbytes(500_000).hex())])
