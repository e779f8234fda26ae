"""The ledger never generates an answer twice: not after a crash or a damaged journal, in two processes or two runs."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.generations import GENERATIONS, Ledger, OutputFormat, Sampling, generation_id
from resources.journal import Claims, LedgerError
from resources.lakehouse import Lakehouse
from tests.resources.ledger_run import FakeEngine, ask

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


@pytest.fixture
def engine(tmp_path):
    return FakeEngine(tmp_path / "calls.txt")


def _calls(engine) -> list[str]:
    return engine.calls.read_text().splitlines() if engine.calls.exists() else []


def _rows(lake) -> list[dict]:
    return lake.read(GENERATIONS).scan().collect().to_dicts()


def _journals(tmp_path) -> list[Path]:
    return list((tmp_path / "lake" / "_ledger").glob("*.jsonl"))


def _process(tmp_path, number: int, home: str = "home") -> subprocess.Popen:
    arguments = [str(tmp_path / "lake"), str(tmp_path / "calls.txt"), str(number)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.resources.ledger_run", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NEMOTRON_HOME": str(tmp_path / home)},
        stdout=subprocess.PIPE,
    )


def test_completions_come_in_order_and_are_paid_for_once(lake, engine, tmp_path):
    asked = [ask(f"q{i}") for i in range(5)] + [ask("q1"), ask("q1", sample=1)]
    seen = []
    first = list(Ledger(lake).generate(engine, iter(asked), progress=lambda *counts: seen.append(counts)))
    assert [c.text for c in first] == ["0q", "1q", "2q", "3q", "4q", "1q", "1q"]
    assert [c.request for c in first] == asked
    assert [c.new for c in first] == [True] * 5 + [False, True]
    assert sorted(_calls(engine)) == ["q0", "q1", "q1", "q2", "q3", "q4"]
    assert seen[-1][1:] == (6, 18)
    again = list(Ledger(lake).generate(engine, asked))
    assert [c.text for c in again] == [c.text for c in first]
    assert not any(c.new for c in again)
    assert len(_calls(engine)) == 6
    rows = _rows(lake)
    assert len(rows) == 6 and {r["id"] for r in rows} == {c.id for c in first}
    assert not _journals(tmp_path)
    row = next(r for r in rows if r["text"] == "0q")
    assert (row["model"], row["prompt"], row["parents"]) == ("fake", "test", ["row of q0"])
    assert (row["finish_reason"], row["prompt_tokens"], row["output_tokens"]) == ("stop", 2, 3)


def test_key_depends_on_everything_that_decides_the_answer(engine):
    base = ask("q")
    others = [
        ask("q2"), ask("q", sample=1), replace(base, sampling=Sampling(0.6, 0.9, 8)),
        replace(base, sampling=Sampling(0.5, 0.9, 9)), replace(base, output_format=OutputFormat("regex", "a+")),
        replace(base, output_format=OutputFormat("json", "a+")), replace(base, messages=(("system", "q"),)),
    ]  # fmt: skip
    keys = {generation_id(engine, request) for request in [base, *others]}
    other = FakeEngine(engine.calls)
    other.sha256 = "2" * 64
    templated = FakeEngine(engine.calls)
    templated.template_sha256 = "3" * 64
    keys |= {generation_id(other, base), generation_id(templated, base)}
    assert len(keys) == len(others) + 3
    assert generation_id(engine, replace(base, parents=("else",))) == generation_id(engine, base)


@pytest.mark.faults
def test_killed_process_loses_only_what_was_not_finished(lake, engine, tmp_path):
    number = 60
    run = _process(tmp_path, number)
    try:
        end = time.monotonic() + 120
        while len(_calls(engine)) < 15:
            assert time.monotonic() < end and run.poll() is None
            time.sleep(0.02)
    finally:
        run.kill()
        run.wait()
    before = _calls(engine)
    assert 15 <= len(before) < number and not lake.read(GENERATIONS).exists
    texts = [c.text for c in Ledger(lake).generate(engine, [ask(f"question {i}") for i in range(number)])]
    assert texts == [f"question {i}"[::-1] for i in range(number)]
    calls = _calls(engine)
    # Only the call that was logged but not yet in the journal when the process was killed may come again.
    assert len(set(calls)) == number and len(calls) <= number + 1
    assert len(_rows(lake)) == number and not _journals(tmp_path)


@pytest.mark.parametrize("former", ["", "identity", "path"])
def test_a_moved_lake_finds_the_journals_of_its_killed_processes(lake, engine, tmp_path, former):
    process = _process(tmp_path, 200)
    while len(_calls(engine)) < 4:
        time.sleep(0.02)
    process.kill()
    process.wait()
    if former:  # earlier versions of the program kept the journals in the cache
        name = lake.identity if former == "identity" else sha256(lake.root.encode()).hexdigest()[:16]
        folder = tmp_path / "home" / "cache" / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        _journals(tmp_path)[0].parent.rename(folder / name)
    else:
        (tmp_path / "lake").rename(tmp_path / "moved")
        lake = Lakehouse(root=str(tmp_path / "moved"), free_disk_mb=0)
    before = len(_calls(engine))
    list(Ledger(lake).generate(engine, [ask(f"question {n}") for n in range(2)]))
    assert len(_calls(engine)) == before and _journals(tmp_path) == []


def test_the_answer_of_a_line_that_was_cut_off_is_generated_again(lake, engine, tmp_path):
    stream = Ledger(lake).generate(engine, [ask("a"), ask("b")])
    next(stream)
    (journal,) = _journals(tmp_path)
    torn = journal.read_bytes()[:-40]
    stream.close()
    # Another lake has only the damaged journal. Its complete line is used, the line that was cut off is not.
    other, folder = Lakehouse(root=str(tmp_path / "other"), free_disk_mb=0), tmp_path / "journals"
    folder.mkdir()
    (folder / "1.jsonl").write_bytes(torn)
    done = list(Ledger(other, folder).generate(engine, [ask("a"), ask("b")]))
    assert [c.text for c in done] == ["a", "b"] and sum(c.new for c in done) == 1
    assert len(_rows(other)) == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(junk=st.binary(max_size=200))
def test_a_journal_may_hold_any_bytes(lake, engine, tmp_path, junk):
    folder = tmp_path / "junk"
    folder.mkdir(exist_ok=True)
    (folder / "1.jsonl").write_bytes(junk)
    assert [c.text for c in Ledger(lake, folder).generate(engine, [ask("ab")])] == ["ba"]
    assert len(_rows(lake)) == 1


def test_a_crash_between_commit_and_removal_of_a_journal_repeats_no_row(lake, engine, tmp_path):
    stream = Ledger(lake).generate(engine, [ask("a")])
    next(stream)
    (journal,) = _journals(tmp_path)
    copy = journal.read_bytes()
    stream.close()
    journal.write_bytes(copy)
    assert Ledger(lake).fold() == 0
    assert len(_rows(lake)) == 1 and not journal.exists()


def test_journal_of_a_living_process_is_read_and_left_alone(lake, engine, tmp_path):
    first = Ledger(lake).generate(engine, [ask("a"), ask("b")])
    next(first)  # both answers are in the journal, none is folded
    second = list(Ledger(lake).generate(engine, [ask("a"), ask("c")]))
    assert [c.new for c in second] == [False, True]
    assert len(_journals(tmp_path)) == 1
    first.close()
    assert sorted(_calls(engine)) == ["a", "b", "c"] and len(_rows(lake)) == 3


def test_a_journal_that_is_folded_during_a_look_up_is_not_missed(lake, engine, monkeypatch):
    first = Ledger(lake).generate(engine, [ask("a")])
    next(first)
    read, looked_up = Ledger._in_table, []

    def read_then_fold(ledger, keys):
        found = read(ledger, keys)
        if ledger is second and keys and not looked_up:
            looked_up.append(keys)
            first.close()  # folds its journal
        return found

    second = Ledger(lake)
    monkeypatch.setattr(Ledger, "_in_table", read_then_fold)
    assert [c.new for c in second.generate(engine, [ask("a"), ask("b")])] == [False, True]
    assert sorted(_calls(engine)) == ["a", "b"] and len(_rows(lake)) == 2


def test_failed_engine_keeps_what_was_finished(lake, engine):
    class Failing(FakeEngine):
        def run(self, requests):
            for number, answer in enumerate(super().run(requests)):
                if number == 3:
                    raise RuntimeError("out of memory")
                yield answer

    asked = [ask(f"q{i}") for i in range(6)]
    with pytest.raises(RuntimeError, match="out of memory"):
        list(Ledger(lake).generate(Failing(engine.calls), asked))
    assert len(_rows(lake)) == 3
    assert sum(c.new for c in Ledger(lake).generate(engine, asked)) == 3


def test_small_folds_write_everything(lake, engine, monkeypatch):
    monkeypatch.setattr("resources.generations._WINDOW", 4)
    done = list(Ledger(lake, fold_every=4).generate(engine, (ask(f"q{i}") for i in range(10))))
    assert len(done) == 10 and len(_rows(lake)) == 10
    assert lake.read(GENERATIONS).version >= 3  # created, and folded more than once


# -- answers that cannot be stored as they are, and disks that do not take them ----------------------------------------


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ({"prompt_tokens": 10**30}, {"prompt_tokens": 0}),
        ({"output_tokens": -1}, {"output_tokens": 0}),
        ({"output_tokens": True}, {"output_tokens": 0}),
        ({"seconds": float("nan")}, {"seconds": 0.0}),
        ({"seconds": 10**400}, {"seconds": 0.0}),
        ({"text": "good \ud800 text"}, {"text": "good \ufffd text"}),
    ],
)
def test_an_answer_that_no_column_holds_is_mended_and_paid_for_once(lake, engine, said, stored):
    class Lying(FakeEngine):
        def run(self, requests):
            for key, answer in super().run(requests):
                yield key, replace(answer, **said)

    (first,) = Ledger(lake).generate(Lying(engine.calls), [ask("abc")])
    (again,) = Ledger(lake).generate(engine, [ask("abc")])
    (row,) = _rows(lake)
    assert {name: row[name] for name in stored} == stored
    assert first.new and not again.new and first.text == again.text == row["text"]


def test_the_journal_of_another_program_breaks_nothing_and_is_kept(lake, engine, tmp_path):
    """An answer with a number that no column holds is used; a line that lacks a column is kept in a file."""
    stream = Ledger(lake).generate(engine, [ask("a"), ask("b")])
    next(stream)
    (journal,) = _journals(tmp_path)
    first, second = map(json.loads, journal.read_text().splitlines())
    stream.close()
    other, folder = Lakehouse(root=str(tmp_path / "other"), free_disk_mb=0), tmp_path / "journals"
    folder.mkdir()
    second.pop("run_id")
    lines = [json.dumps(first | {"prompt_tokens": 10**30}), json.dumps(second), json.dumps(first)[:50]]
    (folder / "1.jsonl").write_text("\n".join(lines))
    done = list(Ledger(other, folder).generate(engine, [ask("a"), ask("b")]))
    assert [c.text for c in done] == ["a", "b"] and sum(c.new for c in done) == 1
    assert len(_rows(other)) == 2
    assert not list(folder.glob("*.jsonl")) and (folder / "1.refused").read_text() == "\n".join(lines)


def test_a_line_is_whole_although_each_write_takes_a_few_bytes(lake, engine, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    assert [c.text for c in Ledger(lake).generate(engine, [ask("ab"), ask("cd")])] == ["ba", "dc"]
    assert len(_rows(lake)) == 2


@pytest.mark.faults
def test_a_full_disk_tears_no_line_and_says_so(lake, engine, tmp_path, monkeypatch):
    """The disk is full in the middle of the third line. The two answers before it are used by the next run."""
    write, lines = os.write, []

    def fill(file, data):
        lines.append(data)
        if len(lines) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data if len(lines) < 3 else data[:25])

    folder = tmp_path / "journals"
    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(LedgerError, match=r"cannot be stored in .*: No space left on device\. .*Free some space"):
        list(Ledger(lake, folder).generate(engine, [ask(f"q{i}") for i in range(4)]))
    monkeypatch.setattr(os, "write", write)
    before = len(_rows(lake))
    done = list(Ledger(lake, folder).generate(engine, [ask(f"q{i}") for i in range(4)]))
    assert before == 2 and sum(not c.new for c in done) == 2
    assert [c.text for c in done] == ["0q", "1q", "2q", "3q"] and len(_rows(lake)) == 4


def test_nothing_is_asked_for_when_the_disk_has_no_room(lake, engine):
    small = Lakehouse(root=lake.root, free_disk_mb=1 << 40)
    with pytest.raises(LedgerError, match=r"storage\.free_disk_mb = 1099511627776: no answer was asked for"):
        list(Ledger(small).generate(engine, [ask("a")]))
    assert not _calls(engine)


# -- several processes ------------------------------------------------------------------------------------------------


@pytest.mark.faults
def test_processes_with_the_same_requests_pay_once(lake, engine, tmp_path):
    """They have different homes, like processes on two machines that share the lake."""
    runs = [_process(tmp_path, 20, home) for home in ("home", "another home")]
    outputs = [run.communicate(timeout=200)[0].decode().splitlines() for run in runs]
    assert outputs == [[f"question {i}"[::-1] for i in range(20)]] * 2
    assert sorted(_calls(engine)) == sorted(f"question {i}" for i in range(20))
    assert len(_rows(lake)) == 20


@pytest.mark.faults
def test_claims_of_a_killed_process_pass_to_one_that_waits(lake, engine, tmp_path):
    killed = _process(tmp_path, 40)
    end = time.monotonic() + 120
    while len(_calls(engine)) < 5:
        assert time.monotonic() < end and killed.poll() is None
        time.sleep(0.02)
    waiting = _process(tmp_path, 40, "another home")
    while len(_calls(engine)) < 12:
        assert time.monotonic() < end and waiting.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    waiting.communicate(timeout=120)
    calls = _calls(engine)
    assert waiting.returncode == 0 and len(_rows(lake)) == len(set(calls)) == 40
    # Only the call that the killed process had logged but not yet stored may come again.
    assert len(calls) <= 41


def test_threads_of_one_process_respect_each_others_claims(tmp_path):
    first, second = Claims(tmp_path), Claims(tmp_path)
    a, b = "a" * 32, "b" * 32
    assert first.take([a]) == [a] and first.take([a]) == [a]
    assert second.take([a, b]) == [b]
    first.release(a)
    assert second.take([a]) == [a]
    second.close()
    assert first.take([a, b]) == [a, b]


def test_a_ledger_that_is_kept_open_folds_at_the_end_and_gives_every_answer_once(lake, engine, tmp_path):
    ledger = Ledger(lake)
    with ledger.kept_open():
        for step in range(3):
            found = list(ledger.generate(engine, [ask("always"), ask(f"step {step}")]))
            assert [c.new for c in found] == [step == 0, True]
        assert len(_journals(tmp_path)) == 1 and not lake.read(GENERATIONS).exists
        assert not any(
            c.new for c in Ledger(lake).generate(engine, [ask("step 1")])
        )  # another ledger reads the journal
    assert not _journals(tmp_path)
    assert len(_rows(lake)) == len(_calls(engine)) == 4


def test_a_ledger_that_is_kept_open_folds_a_long_journal(lake, engine, tmp_path):
    ledger = Ledger(lake, fold_every=2)
    with ledger.kept_open():
        for step in range(5):
            list(ledger.generate(engine, [ask("always"), ask(f"step {step}")]))
            assert len(_rows(lake)) >= step
    assert len(_rows(lake)) == len(_calls(engine)) == 6


def test_tokens_of_a_rollout_come_back_from_a_journal_and_from_the_table(lake, tmp_path):
    rollout = replace(ask("roll"), prompt_ids=(3, 4, 5))

    class Sampler(FakeEngine):
        def run(self, requests):
            for key, answer in super().run(requests):
                yield key, replace(answer, tokens=[7, 8, 12], logprobs=[-0.5, -1.25, -2.0], forced=[False, True, False])

    sampler = Sampler(tmp_path / "calls.txt")
    assert generation_id(sampler, rollout) != generation_id(sampler, ask("roll"))
    assert generation_id(sampler, rollout) != generation_id(sampler, replace(rollout, prompt_ids=(3, 4)))
    ledger, seen = Ledger(lake), []
    with ledger.kept_open():
        seen += [*ledger.generate(sampler, [rollout]), *ledger.generate(sampler, [rollout])]
        seen += Ledger(lake).generate(sampler, [rollout])
    seen += ledger.generate(sampler, [rollout])
    assert [c.new for c in seen] == [True, False, False, False]
    assert {(*c.tokens, *c.logprobs, *c.forced) for c in seen} == {(7, 8, 12, -0.5, -1.25, -2.0, False, True, False)}
    assert _rows(lake)[0]["prompt_ids"] == [3, 4, 5]


def test_a_journal_of_a_version_without_rollouts_is_folded(lake, engine, tmp_path):
    ledger = Ledger(lake)
    with ledger.kept_open():
        list(ledger.generate(engine, [ask("old")]))
        (path,) = _journals(tmp_path)
        new = ("prompt_ids", "tokens", "logprobs", "forced")
        row = {name: value for name, value in json.loads(path.read_text()).items() if name not in new}
        path.write_text(json.dumps(row) + "\n")
    (stored,) = _rows(lake)
    assert (stored["text"], stored["tokens"]) == ("dlo", None)
