"""Archives from a server that misbehaves, and lists with invalid rows; all on the loopback interface."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemotron_assets.code.sources.files import as_rows, usable
from nemotron_assets.recipe.code.sources import CodeSource
from resources.crawl import Crawl
from resources.repositories import GithubArchives, Repository, RepositoryError, SourceError
from tests.resources.crawl_server import serving
from tests.resources.repositories.places import LIMITS, files, limits, tar

COMMIT = "c" * 40
ARCHIVE = tar(files(**{"r-c/a.py": b"print(1)\n"}))


def source(url: str, place: Path = Path(), of=LIMITS, **crawl) -> GithubArchives:
    patient = Crawl(source="sample", retries=1, backoff_s=0.01, timeout_s=2)
    described = CodeSource(name="hub", kind="github", path="-", url=url)
    return GithubArchives(described, place, of, patient.model_copy(update=crawl))


def fetch(source: GithubArchives, repo: str = "o/r") -> list[str]:
    return [entry.path for entry in source.entries(Repository("hub", "url", repo, COMMIT, "", ""))]


@pytest.fixture
def server(tmp_path):
    for repo in ("o/r", "o/.github", "o/html"):
        (tmp_path / repo / "tar.gz").mkdir(parents=True)
        (tmp_path / repo / "tar.gz" / COMMIT).write_bytes(ARCHIVE if repo != "o/html" else b"<html>Sign in</html>")
    with serving(tmp_path) as running:
        yield running


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ((302, {"Location": "file:///etc/passwd"}), "missing"),
        ((302, {"Location": "http://127.0.0.2:1/x"}), "missing"),
        ((302, {"Location": "gopher://127.0.0.1/x"}), "missing"),
        ((302, {"Location": "//user@[::1"}), "unusable"),
        ((302, {}), "missing"),
        ((404, {}), "missing"),
        ((451, {}), "missing"),
        ((204, {}), "missing"),
        ((429, {"Retry-After": "99999"}), "unavailable"),
        ((503, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}), "unavailable"),
        ((206, {"Content-Range": "bytes 5-4/3"}), "unavailable"),
    ],
)
def test_an_answer_that_is_not_an_archive_is_a_repository_error(server, answer, cause):
    server.faults += [(COMMIT, answer)] * 5
    with pytest.raises(RepositoryError, match=f"^{cause}: "):
        fetch(source(server.url))
    server.faults.clear()
    assert fetch(source(server.url)) == ["a.py"], "the next request succeeds"


def test_redirects_on_the_same_server_are_followed_up_to_a_limit(server):
    server.faults.append((COMMIT, (302, {"Location": f"/o/.github/tar.gz/{COMMIT}"})))
    assert fetch(source(server.url)) == ["a.py"]
    server.faults += [(COMMIT, (302, {"Location": f"/o/r/tar.gz/{COMMIT}"}))] * 20
    with pytest.raises(RepositoryError, match="missing"):
        fetch(source(server.url))


def test_the_wait_that_the_server_asks_for_is_observed(server):
    server.faults.append((COMMIT, (429, {"Retry-After": "1"})))
    assert fetch(source(server.url)) == ["a.py"]
    at = [when for _, _, _, when in server.requests]
    assert len(at) == 2 and at[1] - at[0] >= 1


def test_a_web_page_in_place_of_an_archive_is_damage(server):
    with pytest.raises(RepositoryError, match="damaged"):
        fetch(source(server.url), "o/html")


def test_repositories_whose_names_begin_with_a_dot_are_fetched(server):
    """`.github` is one of the most frequent names of repositories."""
    assert fetch(source(server.url), "o/.github") == ["a.py"]


def test_unsafe_repository_names_are_never_requested(server):
    for repo in ("../r", "o/..", "o/../../r", "o//r", "o/r?x=", "o/r#x", "o/r%2f..", "o/ r", "ö/r", "o/r\n"):
        with contextlib.suppress(RepositoryError):
            fetch(source(server.url), repo)
    assert all(path.startswith("/o/r%25") for path, _, _, _ in server.requests), "a percent sign is quoted"


@contextlib.contextmanager
def speaking(head: bytes, chunk: bytes, pause: float = 0):
    """The URL of a server that sends `head` and then `chunk` without end, with a pause after each."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve():
        with contextlib.suppress(OSError):
            while not stop.is_set():
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(4_096)
                    connection.sendall(head)
                    while not stop.wait(pause):
                        connection.sendall(chunk)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["no length", "a length", "chunks"],
)
def test_an_endless_body_ends_at_the_size_limit(head):
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n" if b"chunked" in head else bytes(1 << 16)
    with speaking(head, chunk) as url:
        with pytest.raises(RepositoryError, match="too_large"):
            fetch(source(url, of=limits(max_archive_mb=1)))


def test_a_slow_body_ends_at_the_time_limit():
    with speaking(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02) as url:
        with pytest.raises(RepositoryError, match="unavailable"):
            fetch(source(url, of=limits(timeout_s=0.5), timeout_s=0.5))


def line(repo: str, **more: object) -> str:
    return json.dumps({"repo": repo, "commit_id": COMMIT, **more})


LINES = [
    line("o/good", stars=7, version="1"), line("o/cloned.git", stars="8"),
    line("o/odd", stars=10**30, version="\ud800", updated_at="0001-01-01T00:00:00+23:59"),
    line("o/\ud800"), line("o/a b"), line("o/.."), line("größe/x"), line("o/x", commit_id="main"),
    line(["o/x"], commit_id=7), "[1]", "{", "[" * 90_000, "nul\0l",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_invalid_rows_of_a_list_do_not_stop_the_others(tmp_path, kind):
    place = tmp_path / f"list.{kind}"
    if kind == "jsonl":
        place.write_bytes("\n".join(LINES).encode() + b"\n\xff\xfe\n")
    elif kind == "csv":
        rows = [
            f"o/good,{COMMIT},7",
            f"o/cloned.git,{COMMIT},8",
            f"o/odd,{COMMIT},{10**30}",
            "o/..,x,",
            "x" * 200_000,
            '"',
            ",,,,,",
        ]
        place.write_text("\n".join(["repo,commit_id,stars", *rows]))
    else:
        names = ["o/good", "o/cloned.git", "o/odd", None, "o/.."]
        stars = pa.array([7, 8, 2**63, None, 0], pa.uint64())
        pq.write_table(pa.table({"repo": names, "commit_id": [COMMIT] * 5, "stars": stars}), place)
    found = list(source("http://127.0.0.1:1", place).repositories())
    good = [r for r in found if usable(r.repo, r.commit_id)]
    assert [(r.repo, r.stars) for r in good] == [("o/good", 7), ("o/cloned", 8), ("o/odd", None)]
    assert len(found) > len(good), "unusable rows are counted"
    assert sum(batch.num_rows for batch in as_rows(good)) == 3


def test_a_missing_or_invalid_list_is_a_source_error(tmp_path):
    (tmp_path / "list.parquet").write_text("{}")
    for place in (tmp_path / "list.parquet", tmp_path):
        with pytest.raises(SourceError, match="list"):
            list(source("http://127.0.0.1:1", place).repositories())


def test_a_file_that_changes_under_the_same_etag_is_caught_by_its_checksum(tmp_path):
    """A broken transfer is resumed if the ETag is still the same, so only the checksum can notice the change."""
    place = tmp_path / "o/r/tar.gz" / COMMIT
    place.parent.mkdir(parents=True)
    content = [(f"r/{n}.py", json.dumps(list(range(n, n + 4_000))).encode(), {}) for n in range(9)]
    place.write_bytes(tar(content))
    with serving(tmp_path) as server:
        server.faults.append((COMMIT, "drop"))
        original = server.RequestHandlerClass.do_GET

        class Handler(server.RequestHandlerClass):
            def do_GET(self):
                original(self)
                data = bytearray(place.read_bytes())
                data[len(data) // 2 + 900 : len(data) // 2 + 960] = bytes(60)
                place.write_bytes(bytes(data))

        server.RequestHandlerClass = Handler
        with pytest.raises(RepositoryError, match="damaged"):
            fetch(source(server.url))
        assert len(server.requests) == 2 and server.requests[1][1]
