"""Jobs of several requests come back complete and in order; truncated answers are recognised and counts add up."""

from __future__ import annotations

import itertools

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.generation.asking import (
    CAUSES,
    Progress,
    Tally,
    answered,
    cut_off,
    example_markdown,
    facts,
    facts_table,
    frames,
)
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table
from resources.generations import Completion, Request, Sampling

SAMPLING = Sampling(0.5, 0.9, 8)


def _ask(text):
    return Request("test", (("user", text),), SAMPLING)


def _completion(request, reason="stop", tokens=3, new=True):
    return Completion("g" + request.messages[0][1], request, "", 5, tokens, reason, new)


@given(st.lists(st.integers(0, 4), max_size=20), st.integers(1, 7))
def test_jobs_come_back_complete_and_in_order(sizes, window):
    jobs = [(n, [_ask(f"{n}.{i}") for i in range(size)]) for n, size in enumerate(sizes)]

    def generate(requests):
        """Answer requests window by window, as the ledger does."""
        taken = []
        for request in requests:
            taken.append(request)
            if len(taken) == window:
                yield from map(_completion, taken)
                taken = []
        yield from map(_completion, taken)

    found = [(job, [completion.request for completion in done]) for job, done in answered(iter(jobs), generate)]
    assert found == jobs


def test_answers_at_the_limit_are_cut_off():
    assert not cut_off(_completion(_ask("q"), tokens=598), 600)
    assert cut_off(_completion(_ask("q"), tokens=599), 600) == "599 tokens of at most 598"
    assert cut_off(_completion(_ask("q"), "length", 10), 600)
    assert cut_off(_completion(_ask("q"), "content_filter", 10), 600) == ""


def test_rows_become_frames_of_the_table():
    table = Table("t", "t", "a table", (ID, PARENTS, Column("n", "int32", "a number")))
    rows = ({"id": str(i), "parents": [], "n": i} for i in range(5))
    found = list(frames(rows, table, 2))
    assert [frame.height for frame in found] == [2, 2, 1]
    assert pl.concat(found)["n"].to_list() == [0, 1, 2, 3, 4] and found[0].schema["n"] == pl.Int32
    (empty,) = frames([], table)
    assert empty.height == 0 and empty.schema == found[0].schema


def test_tallies_add_up():
    one, two = Tally(), Tally()
    one.answers([_completion(_ask("a")), _completion(_ask("b"), new=False), _completion(_ask("c"))])
    one.rejected["truncated"] += 1
    one.row("first text", 70, 2)
    one.row("second text", 30, 0)
    two.answers([_completion(_ask("d"))])
    two.rejected["too_short"] += 1
    counts = facts({"one": one, "two": two})
    assert counts == {
        "documents": 2,
        "segments": 4,
        "accepted": 2,
        "rows": 2,
        "tokens": 100,
        "output_tokens": 12,
        "new_generations": 3,
        "truncated": 1,
        "unparsable": 0,
        "degenerate": 0,
        "too_short": 1,
    }
    assert counts["accepted"] + sum(counts[cause] for cause in CAUSES) == counts["segments"]
    table = facts_table({"one": one, "two": two}).split("\n")
    assert table[2] == "| one | 1 | 3 | 2 | 1 | 0 | 0 | 0 | 2 | 100 | 9 | 2 |"
    assert len({line.count("|") for line in table}) == 1
    assert one.example == "first text"


@given(st.text(st.sampled_from("`a\n"), max_size=60))
def test_example_cannot_leave_its_block(text):
    lines = example_markdown(text).split("\n")
    fence = lines[0].removesuffix("text")
    assert lines[-1] == fence and not any(line.lstrip().startswith(fence) for line in lines[1:-1])


def test_progress_is_logged_every_ten_seconds(monkeypatch):
    clock, logged = [0.0], []
    monkeypatch.setattr("nemotron_assets.generation.asking.time.monotonic", lambda: clock[0])
    progress = Progress(logged.append)
    requests = progress.counted(range(1_500))
    assert len(list(itertools.islice(requests, 100))) == 100, "the ledger reads a window of requests"
    for second in range(1, 45):
        clock[0] = second
        if second == 30:
            assert len(list(requests)) == 1_400, "now it has read all"
        progress(second, second, 100 * second)
    assert logged == [
        "10 of more than 100 requests answered, 10 in this run; 1,000 tokens, 100 tokens/s",
        "20 of more than 100 requests answered, 20 in this run; 2,000 tokens, 100 tokens/s",
        "30 of 1,500 requests answered, 30 in this run; 3,000 tokens, 100 tokens/s, about 24 min left",
        "40 of 1,500 requests answered, 40 in this run; 4,000 tokens, 100 tokens/s, about 24 min left",
    ]
    assert progress.rate == 100
