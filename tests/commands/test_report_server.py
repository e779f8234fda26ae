"""The server of the report beside the web UI: one file, as it is now, and nothing else."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from nemotron_assets.commands.report_server import serve_report


@pytest.fixture
def served(tmp_path):
    file = tmp_path / "report.html"
    server = serve_report("127.0.0.1", 0, file)
    yield f"http://127.0.0.1:{server.server_address[1]}", file
    server.shutdown()
    server.server_close()


def status(address: str) -> int:
    try:
        return urllib.request.urlopen(address, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_newest_report_is_served_and_no_other_file(served, tmp_path):
    address, file = served
    assert status(f"{address}/report.html") == 404, "there is none yet"
    for text in ("<p>ä</p>", "<p>newer</p>"):
        file.write_text(text, encoding="utf-8")
        with urllib.request.urlopen(f"{address}/report.html", timeout=10) as answer:
            assert answer.read().decode() == text
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    (tmp_path / "secret.txt").write_text("secret")
    for path in ("/", "/secret.txt", "/report.html/../secret.txt", "//etc/passwd", "/report.html?x"):
        assert status(f"{address}{path}") == 404, path
