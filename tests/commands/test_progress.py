"""What `nemotron run` shows: plain lines in a log; on a terminal one line per running unit, and how much is left."""

from __future__ import annotations

import io

import dagster as dg
import pytest

from nemotron_assets.commands import progress as module
from nemotron_assets.commands.progress import LiveProgress, Progress
from nemotron_assets.commands.runner import Outcome
from nemotron_assets.commands.schedule import Schedule, Unit


@dg.asset
def pages() -> None: ...


@dg.asset(deps=[pages], pool="gpu")
def answers() -> None: ...


PAGES, ANSWERS = (Unit(dg.AssetKey(name), "A") for name in ("pages", "answers"))


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return Schedule(dg.Definitions(assets=[pages, answers]).resolve_asset_graph())


def tell(progress: Progress) -> None:
    """A run of pages, which fails, while answers have not begun."""
    progress.start([PAGES])
    progress.show([PAGES], {"kind": "start", "asset": "pages"})
    progress.show([PAGES], {"kind": "says", "asset": "pages", "text": "3 of 9 files", "level": 20})
    progress.show([PAGES], {"kind": "printed", "text": "a library says"})
    progress.show([PAGES], {"kind": "says", "asset": "pages", "text": "disk is slow", "level": 30})
    progress.show([PAGES], {"kind": "made", "asset": "pages", "partition": "A", "rows": 1234})
    progress.end(Outcome(PAGES, "done", rows=1234, seconds=4.0, warning="check few failed (share = 0.5)"))
    progress.end(Outcome(ANSWERS, "failed", note="no model"))


def test_plain_lines(schedule, capsys):
    with Progress() as progress:
        progress.plan({PAGES, ANSWERS}, set(), schedule, 2)
        tell(progress)
    assert capsys.readouterr().out.splitlines() == [
        "start   pages [A]",
        "        pages [A]: 3 of 9 files",
        "a library says",
        "        pages [A]: disk is slow",
        "made    pages [A]: 1,234 rows",
        "warning pages [A]: check few failed (share = 0.5)",
        "failed  answers [A]: no model",
    ]


def test_how_long_it_takes_follows_from_what_has_ended(schedule):
    estimate = module._Estimate()
    others = [Unit(PAGES.key, p) for p in "BCDE"]
    estimate.plan({*others, ANSWERS}, set(), schedule, 2)
    assert str(estimate) == "0 of 5 done"
    estimate.end(Outcome(PAGES, "done", seconds=30.0))
    assert str(estimate) == "1 of 6 done", "nothing on the device has ended yet"
    estimate.end(Outcome(Unit(ANSWERS.key, "B"), "done", seconds=100.0))
    assert str(estimate) == "2 of 7 done, about 2 min left", "4 x 30 s and 100 s, two at a time"
    estimate.plan({ANSWERS}, set(), schedule, 2)
    assert str(estimate) == "2 of 3 done, about 2 min left", "one at a time on the device"


def test_names_and_messages_that_look_like_markup_are_shown_as_they_are(monkeypatch):
    from rich.console import Console

    printed = io.StringIO()
    monkeypatch.setattr(module, "console", lambda: Console(file=printed, force_terminal=True, width=100))
    unit = Unit(PAGES.key, "handbook")
    with LiveProgress() as progress:
        progress.start([unit])
        progress.show([unit], {"kind": "start", "asset": "pages"})
        progress.show([unit], {"kind": "says", "asset": "pages", "text": "reads [/etc/hosts] of [bold]", "level": 20})
        progress._live.refresh()
        progress.end(Outcome(unit, "failed", note="no file [/x]"))
    shown = printed.getvalue()
    assert "pages [handbook]" in shown and "reads [/etc/hosts] of [bold]" in shown
    assert "failed  pages [handbook]: no file [/x]" in shown


def test_a_terminal_shows_a_line_per_running_unit(schedule, monkeypatch):
    from rich.console import Console

    printed = io.StringIO()
    terminal = Console(file=printed, force_terminal=True, width=100)
    monkeypatch.setattr(module, "console", lambda: terminal)
    assert isinstance(module.progress(), LiveProgress)
    with LiveProgress() as progress:
        progress.plan({PAGES, ANSWERS}, set(), schedule, 2)
        progress.show([PAGES], {"kind": "start", "asset": "pages"})
        progress.show([PAGES], {"kind": "says", "asset": "pages", "text": "3 of 9 files", "level": 20})
        progress._live.refresh()
        shown = printed.getvalue()
        assert "pages [A]" in shown and "3 of 9 files" in shown and "0 of 2 done" in shown
        tell(progress)
        progress._live.refresh()
    lines = printed.getvalue()[len(shown) :]
    assert (
        "made    pages [A]: 1,234 rows" in lines
        and "disk is slow" in lines
        and "failed  answers [A]: no model" in lines
    )
    assert "a library says" not in printed.getvalue()
