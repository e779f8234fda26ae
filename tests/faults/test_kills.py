"""Commands that are killed: the next run ends with the lake of the unbroken one.

A handful of the kills of `benchmarks/faults.py`, at moments at which something is always under way.
"""

from __future__ import annotations

import signal

import pytest

from benchmarks._faults_kill import Kill, Moment
from benchmarks._faults_scenes import SCENES, answer
from benchmarks.faults import Campaign
from tests.resources.endpoint import Endpoint

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    endpoint = Endpoint(answer)
    with endpoint.serve() as url:
        yield Campaign(tmp_path_factory.mktemp("faults"), endpoint, url)


def moment_in(campaign: Campaign, scene: str, share: float) -> Moment:
    """The moment at a share of the time from the first event after the program was loaded to the end."""
    unbroken = campaign.unbroken(SCENES[scene])
    at = unbroken.events[1] + share * (unbroken.seconds - unbroken.events[1])
    event = max(number for number, start in enumerate(unbroken.events) if start <= at)
    return Moment(event, at - unbroken.events[event])


@pytest.mark.parametrize("share", [0.0, 0.04])
def test_the_first_use_of_a_home_may_be_killed_while_it_is_created(campaign, share):
    result = campaign.play(SCENES["first use"], Kill(signal.SIGKILL, "group", moment_in(campaign, "first use", share)))
    assert result.outcome.startswith("ended with -9") and not result.wrong


@pytest.mark.parametrize(("target", "share"), [("group", 0.5), ("parent", 0.7)])
def test_a_killed_ingestion_goes_on(campaign, target, share):
    result = campaign.play(SCENES["ingest"], Kill(signal.SIGKILL, target, moment_in(campaign, "ingest", share)))
    assert result.outcome.startswith("ended with -9") and not result.wrong
