"""Reading a crawl from a folder, from a misbehaving web server on the loopback interface, and from an object store."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import math
import socket
import time
import traceback
import tracemalloc
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.crawl import (
    SAMPLE,
    Crawl,
    CrawlError,
    Missing,
    Oversized,
    Unavailable,
    Unreachable,
    check_path,
    layout,
    resource,
    retry_after,
    transfer,
)  # fmt: skip
from resources.crawl.errors import Interrupted
from tests.resources.crawl_server import serving
from tests.s3 import s3_server

SNAPSHOT = "CC-MAIN-2024-51"


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "served"
    for name in ("collinfo.json", f"crawl-data/{SNAPSHOT}/warc.paths.gz"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((SAMPLE / name).read_bytes())
    for path in Crawl(source="sample").warc_paths(SNAPSHOT):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes((SAMPLE / path).read_bytes())
    with serving(root) as server:
        yield server


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))


def crawl(source, **options) -> Crawl:
    return Crawl(source=source, **{"retries": 3, "backoff_s": 0.01, "timeout_s": 5, "max_snapshots": 9, **options})


def digest(crawl: Crawl, path: str) -> str:
    with crawl.open(path) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


@pytest.mark.parametrize("remote", [False, True])
def test_layout(server, remote):
    source = crawl(server.url if remote else str(server.root), user_agent="tester/1 (me@example.org)")
    assert [s.id for s in source.snapshots()] == [SNAPSHOT, "CC-MAIN-2025-08"]
    assert source.snapshots()[0].from_date.isoformat() == "2024-12-01T15:34:18+00:00"
    paths = source.warc_paths(SNAPSHOT)
    assert len(paths) == 2 and digest(source, paths[0]) == digest(Crawl(source="sample"), paths[0])
    expected = (SAMPLE / paths[0]).read_bytes()[1000:3000]
    assert source.read_range(paths[0], 1000, 2000) == expected
    if remote:
        assert {agent for _, _, agent, _ in server.requests} == {"tester/1 (me@example.org)"}


def test_window():
    def ids(**options):
        return [s.id for s in Crawl(source="sample", **{"max_snapshots": 9, **options}).window()]

    assert ids() == [SNAPSHOT, "CC-MAIN-2025-08"]
    assert ids(last="CC-MAIN-2024-99") == [SNAPSHOT]
    assert ids(first="CC-MAIN-2025-01") == ["CC-MAIN-2025-08"]
    assert ids(max_snapshots=1) == ["CC-MAIN-2025-08"]


@pytest.mark.faults
def test_dropped_transfers_are_resumed(server):
    source = crawl(server.url)
    [path, _] = source.warc_paths(SNAPSHOT)
    server.faults += [(path, "drop")] * 6  # more often than `retries`, but every attempt brings new bytes
    assert digest(source, path) == digest(Crawl(source="sample"), path)
    starts = [int(r.removeprefix("bytes=").partition("-")[0]) for p, r, *_ in server.requests if p.endswith(path) and r]
    assert len(starts) == 6 and starts == sorted(starts) and starts[0] > 0


@pytest.mark.faults
def test_without_ranges_a_transfer_starts_again(server):
    source = crawl(server.url)
    [path, _] = source.warc_paths(SNAPSHOT)
    server.ranges = False
    server.faults += [(path, "drop")] * 2
    assert digest(source, path) == digest(Crawl(source="sample"), path)
    assert source.read_range(path, 1000, 2000) == (SAMPLE / path).read_bytes()[1000:3000]
    server.faults += [(path, "drop")] * 20
    with pytest.raises(Unavailable, match="attempts without progress"):
        digest(source, path)


@pytest.mark.faults
def test_versions_of_a_file_that_changes_are_not_mixed(server, monkeypatch):
    source = crawl(server.url, backoff_s=0.3)
    [path, _] = source.warc_paths(SNAPSHOT)
    server.faults.append((path, "drop"))
    changed = b"another file" * 200_000

    def change(seconds):
        (server.root / path).write_bytes(changed)
        server.etag = '"2"'

    monkeypatch.setattr(time, "sleep", change)
    assert digest(source, path) == hashlib.sha256(changed).hexdigest()


@pytest.mark.faults
def test_the_wait_that_a_busy_server_asks_for_is_observed(server):
    source = crawl(server.url)
    server.faults += [("collinfo.json", (503, {"Retry-After": "1"})), ("collinfo.json", (429, {}))]
    began = time.monotonic()
    assert len(source.snapshots()) == 2
    assert time.monotonic() - began >= 1 and len(server.requests) == 3
    server.faults.append(("collinfo.json", (503, {"Retry-After": "86400"})))
    with pytest.raises(Unavailable, match="HTTP status 503; the next attempt would be later"):
        crawl(server.url, file_timeout_s=5).snapshots()


@pytest.mark.faults
def test_limits(server):
    [path, _] = crawl(server.url).warc_paths(SNAPSHOT)
    for source in (server.url, str(server.root)):
        with pytest.raises(Oversized, match="more than the 1 MB allowed"):
            digest(crawl(source, max_warc_mb=1), path)
        with pytest.raises(Missing):
            digest(crawl(source), "crawl-data/none.warc.gz")
        with pytest.raises(Missing, match="ends before"):
            crawl(source).read_range(path, 10**8, 100)
    server.faults.append((path, "slow"))
    with pytest.raises(Unavailable, match="longer than"):
        digest(crawl(server.url, file_timeout_s=0.5), path)
    server.faults += [("collinfo.json", (500, {}))] * 9
    with pytest.raises(Unavailable, match="4 attempts"):
        crawl(server.url).snapshots()
    assert not crawl("http://127.0.0.1:9", retries=0).alive()


@pytest.mark.faults
def test_a_server_that_sends_its_headers_byte_by_byte_is_given_up(server):
    server.faults.append(("collinfo.json", "trickle"))
    assert len(crawl(server.url, timeout_s=0.5).snapshots()) == 2  # the second attempt is answered
    assert len(server.requests) == 2
    server.faults.append(("collinfo.json", "trickle"))
    with pytest.raises(Unavailable, match="no complete answer"):
        crawl(server.url, timeout_s=0.5, retries=0).snapshots()


def test_redirects_stay_on_the_server(server):
    server.faults.append(("collinfo.json", (302, {"Location": "/collinfo.json"})))
    assert len(crawl(server.url).snapshots()) == 2
    for target in ("http://169.254.169.254/secret", "file:///etc/passwd"):
        server.faults.append(("collinfo.json", (302, {"Location": target})))
        with pytest.raises(Missing, match="another server"):
            crawl(server.url).snapshots()
    server.faults += [("collinfo.json", (302, {"Location": "/collinfo.json"}))] * 9
    with pytest.raises(Missing, match="more than 3 times"):
        crawl(server.url).snapshots()


def test_requests_are_spaced_by_the_delay(server):
    source = crawl(server.url, delay_s=0.2)
    for _ in range(3):
        source.snapshots()
    times = [at for *_, at in server.requests]
    assert all(later - earlier > 0.15 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "http://evil/x", "a//b", "a\\b", "a\0b", "a/.",
             "x" * 2000, "", "a b", "é"]
)  # fmt: skip
def test_hostile_paths_are_refused(path, tmp_path):
    with pytest.raises(CrawlError):
        check_path(path)
    listing = tmp_path / "crawl-data" / SNAPSHOT / "warc.paths.gz"
    listing.parent.mkdir(parents=True)
    listing.write_bytes(gzip.compress(path.encode()))
    if path:
        with pytest.raises(CrawlError):
            Crawl(source=str(tmp_path)).warc_paths(SNAPSHOT)


@given(st.text(max_size=60))
def test_accepted_paths_stay_below_the_root(path):
    try:
        check_path(path)
    except CrawlError:
        return
    assert Path("/root/of/crawl", path).resolve().is_relative_to("/root/of/crawl") and "://" not in path


def test_symbolic_links_do_not_lead_out(tmp_path):
    (tmp_path / "crawl").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "crawl" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(CrawlError, match="leads out"):
        digest(Crawl(source=str(tmp_path / "crawl")), "link")


@pytest.mark.parametrize("text", ["{", "{}", "[1, null]", '[{"id": 5}]', '[{"id": "../x"}]', "[" * 100_000])
def test_hostile_collinfo_is_empty_or_an_error(text, tmp_path):
    (tmp_path / "collinfo.json").write_text(text)
    try:
        assert Crawl(source=str(tmp_path)).snapshots() == []
    except CrawlError as error:
        assert "is not a list of snapshots" in str(error)


LOGIN = b"<!doctype html>\n<html><head><title>Sign in &amp;\n wait</title></head><body>" + b"x" * 9_000


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (LOGIN, "an HTML page with the title 'Sign in & wait'"),
        (b'{"error": "the token has expired"}', 'JSON that begins with \'{"error": "the token has expired"}\''),
        (b'[{"name": "no id"}]', "JSON that begins with "),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "an XML text that begins with "),
        (b"come back later", "a text that begins with 'come back later'"),
        (b"\x89PNG\r\n\x1a\n", "data that begin with the bytes 89 50 4e 47"),
        (b" ", "empty"),
    ],
)
def test_a_source_that_answers_with_something_else_is_named_with_what_it_sent(server, answer, what):
    """Servers answer with status 200 and a page that asks for a login, or with an error as JSON."""
    for path, read in (
        ("collinfo.json", lambda: crawl(server.url).snapshots()),
        (f"crawl-data/{SNAPSHOT}/warc.paths.gz", lambda: crawl(server.url).warc_paths(SNAPSHOT)),
    ):
        (server.root / path).write_bytes(answer)
        with pytest.raises(CrawlError) as error:
            read()
        said = str(error.value)
        assert said.startswith(f"{server.url}/{path} is not ") and f"it is {what}" in said and len(said) < 500
        assert ("snapshots.crawl.source" in said) and ("password" in said) == answer.startswith(b"<!doctype")


def test_an_empty_list_of_snapshots_is_not_an_error(server):
    (server.root / "collinfo.json").write_bytes(b"[]")
    assert crawl(server.url).snapshots() == []


@pytest.mark.parametrize(
    "text",
    [
        b"a" * (2 << 20),  # a decompression bomb
        b"".join(b"%x\n" % n for n in range(1001)),  # more lines than are allowed
        b"\n" * 1001,
    ],
)
def test_a_listing_that_is_too_large_is_refused(tmp_path, text):
    listing = tmp_path / "crawl-data" / SNAPSHOT / "warc.paths.gz"
    listing.parent.mkdir(parents=True)
    listing.write_bytes(gzip.compress(text))
    with pytest.raises(CrawlError, match=r"warc\.paths\.gz.*max_listed_files|not a safe path"):
        Crawl(source=str(tmp_path), max_listing_mb=1, max_listed_files=1000).warc_paths(SNAPSHOT)


def test_reading_a_listing_takes_memory_for_its_paths_and_not_for_its_lines():
    """Millions of short lines, most of them the same, and none of them held longer than needed."""
    packed = gzip.compress(b"a\nb\n\n" * 200_000)
    tracemalloc.start()
    assert layout.parse_listing(packed, 64, 1_000_000) == ["a", "b"]
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_titles_of_snapshots_can_be_stored():
    """JSON may hold half of a surrogate pair, and a title of any type and length."""
    titles = [r'"half \ud83d"', r'"whole \ud83d\ude00"', "[1]", '"%s"' % ("x" * 500)]
    text = ",".join(f'{{"id": "S-{n}", "name": {title}}}' for n, title in enumerate(titles))
    names = [snapshot.name for snapshot in layout.parse_collinfo(f"[{text}]".encode())]
    assert names == ["half \ufffd", "whole \U0001f600", "[1]", "x" * 200]


def test_retry_after():
    assert retry_after("7") == 7
    assert retry_after(formatdate(1000, usegmt=True), now=lambda: 900) == 100
    assert retry_after(formatdate(1000, usegmt=True), now=lambda: 2000) == 0
    assert retry_after("0.25") == 0.25
    assert [retry_after(v) for v in (None, "", "soon", "-5", "9" * 40, "nan", "inf", "1e9", "٧")] == [None] * 9


@given(st.text(max_size=40))
def test_retry_after_never_fails(value):
    assert math.isfinite(retry_after(value) or 0) and (retry_after(value) or 0) >= 0


def test_secrets_of_the_source_reach_the_server_alone(server, caplog):
    caplog.set_level("DEBUG")
    source = crawl(server.url.replace("://", "://user:hunter-2222@") + "?token=hunter-3333")
    assert len(source.snapshots()) == 2
    [path, _] = source.warc_paths(SNAPSHOT)
    server.faults += [(f"{path}?token=hunter-3333", (302, {"Location": f"/{path}"}))]
    assert digest(source, path) == digest(Crawl(source="sample"), path)
    assert set(server.authorizations) == {"Basic dXNlcjpodW50ZXItMjIyMg=="}
    assert server.requests[0][0] == "/collinfo.json?token=hunter-3333"
    server.faults += [("collinfo.json?token=hunter-3333", (500, {}))] * 9
    with pytest.raises(Unavailable) as error:
        source.snapshots()
    shown = [source.source, source.location(path), source.fingerprint(path), repr(source), caplog.text]
    shown += ["".join(traceback.format_exception(error.value)), str(source.get_resource_definition().config_schema)]
    assert not [text for text in shown if "hunter" in text]
    assert source.location("collinfo.json") == f"{server.url}/collinfo.json"


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    "source", ["http://u:hunter-2222@127.0.0.1:{port}/base?token=hunter-3333", "https://nowhere.invalid:{port}/x"]
)
def test_a_source_that_is_down_is_named_at_once(source):
    """With its port and without its secrets. The retries of this recipe would take hours."""
    port = _closed_port()
    down = crawl(source.format(port=port), retries=20, backoff_s=300, file_timeout_s=86_400)
    with pytest.raises(Unreachable, match=rf":{port}/(base|x)/collinfo\.json: .*\. Check the address") as error:
        down.snapshots()
    shown = "".join(traceback.format_exception(error.value))
    assert "hunter" not in shown and ("connection refused" in shown or "name of the host is unknown" in shown)


@pytest.mark.faults
def test_a_source_that_has_answered_is_worth_waiting_for(server, monkeypatch):
    """Three connections are refused in the middle of a run; a source that only ever says "busy" is given up early."""
    source = crawl(server.url)
    assert len(source.snapshots()) == 2
    answers = iter([Interrupted("refused", reached=False)] * 3)
    request = resource.request_http

    def refused(*args, **kwargs):
        if problem := next(answers, None):
            raise problem
        return request(*args, **kwargs)

    monkeypatch.setattr(resource, "request_http", refused)
    assert len(source.snapshots()) == 2
    monkeypatch.setattr(transfer, "ANSWERED", set())
    server.faults += [("collinfo.json", (503, {}))] * 20
    before = len(server.requests)
    with pytest.raises(Unreachable, match=r"HTTP status 503\. Check the address"):
        crawl(server.url, retries=20).snapshots()
    assert len(server.requests) - before == 3


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(Missing, match=r"the folder of the crawl, .*/gone, does not exist: check it in the recipe"):
        Crawl(source=str(tmp_path / "gone")).snapshots()


def test_object_store(server, monkeypatch):
    boto3 = pytest.importorskip("boto3")
    with s3_server() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="crawls")
        for file in server.root.rglob("*"):
            if file.is_file():
                client.upload_file(str(file), "crawls", f"mirror/{file.relative_to(server.root)}")
        source = crawl("s3://crawls/mirror")
        [path, _] = source.warc_paths(SNAPSHOT)
        assert digest(source, path) == digest(Crawl(source="sample"), path)
        assert source.read_range(path, 1000, 2000) == (SAMPLE / path).read_bytes()[1000:3000]
        with pytest.raises(Missing, match="does not exist"):
            digest(source, "crawl-data/none.warc.gz")
