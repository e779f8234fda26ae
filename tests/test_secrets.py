"""Secrets in every place that a recipe or the environment has for them are used, and found nowhere afterwards."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from nemotron_assets.code.sources.metadata import metadata_of
from nemotron_assets.code.sources.tables import FILES, METADATA
from resources.home import lake_root
from resources.lakehouse import Lakehouse
from resources.places import PlaceError
from tests.resources.crawl_server import serving
from tests.resources.endpoint import Endpoint
from tests.resources.repositories.places import tar
from tests.warc.records import member, record

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = "CC-MAIN-2024-51"
COMMIT = "c" * 40
SECRETS = {
    place: f"Never/seen-{number}@{place.replace(' ', '-')}"
    for number, place in enumerate(("crawl password", "crawl token", "code password", "code token", "endpoint token"))
}
ENVIRONMENT = {
    "TEST_LLM_KEY": "sk-never-seen-llm-key",
    "AWS_SECRET_ACCESS_KEY": "never-seen-aws-key",
    "AWS_SESSION_TOKEN": "never-seen-aws-session",
    "HF_TOKEN": "hf_never-seen-hub",
    "HTTPS_PROXY": "http://me:never-seen-proxy@127.0.0.1:9",
}


def addressed(url: str, password: str | None, token: str) -> str:
    """The address with a user and a password, and with a token in its query."""
    login = f"reader:{quote(SECRETS[password], safe='')}@" if password else ""
    return f"{url.replace('://', f'://{login}')}?token={quote(SECRETS[token], safe='')}"


def written(folder: Path, crawl: str, code: str, base_url: str) -> Path:
    """A recipe with these addresses, and with retries that would take hours."""
    listed = folder / "repositories.jsonl"
    listed.write_text(json.dumps({"repo": "o/r", "commit_id": COMMIT}))
    hub = {"name": "hub", "kind": "github", "path": str(listed), "url": code}
    values = {
        "extends": "laptop",
        "snapshots": {"crawl": {"source": crawl, "backoff_s": 300, "retries": 20, "file_timeout_s": 86_400}},
        "code": {"sources": {"sources": [hub], "content_model": False}},
        "llm": {
            "engine": "openai",
            "model": "canned",
            "base_url": base_url,
            "api_key_env": "TEST_LLM_KEY",
            "retries": 0,
        },
        "compute": {"workers": 1},
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def nemotron(folder: Path, recipe: Path, *commands: str) -> str:
    """What the commands print, in a process with a home below the folder and with the secrets in its environment."""
    own = {"NEMOTRON_HOME": str(folder / "home"), "NEMOTRON_RECIPE": str(recipe), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.secrets_run", *commands],
        cwd=ROOT,
        env=os.environ | ENVIRONMENT | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def served(folder: Path) -> Path:
    """A crawl with one WARC file of one page, and an archive of a repository, as a server offers them."""
    root = folder / "www"
    warc = f"crawl-data/{SNAPSHOT}/segments/1/warc/a.warc.gz"
    files = {
        "crawl/collinfo.json": json.dumps([{"id": SNAPSHOT, "name": "December"}]).encode(),
        f"crawl/crawl-data/{SNAPSHOT}/warc.paths.gz": member(f"{warc}\n".encode()),
        f"crawl/{warc}": member(record()),
        f"code/o/r/tar.gz/{COMMIT}": tar([("r/a.py", b"print('a file of a repository')\n", {})]),
    }
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def forms(secret: str) -> set[str]:
    """How a secret may be written."""
    return {secret, quote(secret), quote(secret, safe=""), base64.b64encode(f"reader:{secret}".encode()).decode()}


def stored(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file below a folder as text: the rows of Parquet files and of SQLite databases, other files as they are."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        yield path, data.decode("utf-8", "replace")
        if path.suffix == ".parquet":
            yield path, str(pq.read_table(path).to_pylist())
        elif data.startswith(b"SQLite format 3"):
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
                for table in tables:
                    for row in database.execute(f'select * from "{table}"'):
                        yield path, " ".join(map(plain, row))


def plain(value: object) -> str:
    """A value of a database as text. Dagster stores its snapshots of jobs compressed."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        value = zlib.decompress(value)
    except zlib.error:
        pass
    return value.decode("utf-8", "replace")


@pytest.mark.timeout(600)
def test_secrets_reach_servers_and_nothing_else(tmp_path):
    exported, card = tmp_path / "home" / "exported.csv", tmp_path / "home" / "dataset" / "README.md"
    endpoint = Endpoint(lambda body: f"You sent {endpoint.headers[-1]['Authorization']}")
    refusing = Endpoint(lambda body: (403, {}, endpoint.headers[-1]["Authorization"].encode()))
    with serving(served(tmp_path)) as server, endpoint.serve() as base_url:
        recipe = written(
            tmp_path,
            addressed(f"{server.url}/crawl", "crawl password", "crawl token"),
            addressed(f"{server.url}/code", "code password", "code token"),
            addressed(base_url, None, "endpoint token"),
        )
        output = nemotron(
            tmp_path,
            recipe,
            "run --jobs 1 'snapshots/catalog or snapshots/pages or code/repositories or code/files'",
            "ask 'What is water?'",
            "recipe --explain",
            "tables snapshots.catalog",
            f"sql --csv '{exported}' 'from snapshots.records union all by name from code.repositories'",
        )
        logins = {base64.b64decode(login.split()[1]).decode() for login in server.authorizations}
        assert logins == {f"reader:{SECRETS['crawl password']}", f"reader:{SECRETS['code password']}"}
        assert endpoint.headers[0]["Authorization"] == f"Bearer {ENVIRONMENT['TEST_LLM_KEY']}"
        asked = " ".join(path for path, *_ in server.requests)
        assert all(quote(SECRETS[name], safe="") in asked for name in ("crawl token", "code token"))
        assert "made    snapshots/pages [CC-MAIN-2024-51]: 1 row" in output and "You sent Bearer ***" in output
        assert f"{server.url}/code/o/r/tar.gz/{COMMIT}" in exported.read_text()  # its port is shown
        lake = Lakehouse(root=str(tmp_path / "home" / "lake"))
        files = lake.read(FILES).scan()
        lake.write(METADATA, metadata_of(files, files.select(file="id", license=pl.lit("mit"))))

        # The same once more, when nothing works: messages of failures are stored as well.
        endpoint.answer = refusing.answer
        shutil.rmtree(server.root)
        output += nemotron(
            tmp_path,
            recipe,
            "run --force 'snapshots/catalog or code/files'",
            "ask 'What is air?'",
            f"export code.metadata '{card.parent}'",
        )
        assert (
            "o/r" in str(pq.read_table(next(card.parent.rglob("*.parquet"))).to_pylist())
            and "code.metadata" in card.read_text()
        )
        assert "HTTP status 404" in output and "HTTP 403: Bearer ***" in output

    texts = [(tmp_path / "output", output), *stored(tmp_path / "home")]
    assert len(texts) > 100 and any(server.url in text for _, text in texts)
    for name, secret in {**SECRETS, **ENVIRONMENT, "proxy": "never-seen-proxy"}.items():
        places = {str(path) for path, text in texts if any(form in text for form in forms(secret))}
        assert not places, f"the {name} is in {sorted(places)}"


def test_a_run_whose_source_is_down_fails_at_once_with_its_address(tmp_path):
    """Of the whole graph nothing is made. There is no retry of the transfer, and none of Dagster's, which would begin
    after half a minute."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    address = addressed(f"http://127.0.0.1:{port}/base", "crawl password", "crawl token")
    recipe = written(tmp_path, address, "https://host.example", "http://127.0.0.1:9/v1")
    output = nemotron(tmp_path, recipe, "run")
    problem = "no connection (connection refused). Check the address in the recipe"
    assert f"snapshots/catalog: http://127.0.0.1:{port}/base/collinfo.json: {problem}" in output
    assert "run ended with 1" in output and "Never" not in output
    assert "stop    snapshots/catalog failed" in output and "made    " not in output
    # A retry is an event of the run; time alone would say little on a busy machine.
    events = " ".join(text for path, text in stored(tmp_path / "home") if path.suffix == ".db")
    assert "STEP_FAILURE" in events and "STEP_UP_FOR_RETRY" not in events, output[-2000:]


@pytest.mark.parametrize("root", ["s3://key:never-seen@bucket/lake", "https://host/lake?sig=never-seen"])
def test_an_address_of_the_lake_with_a_secret_is_refused(monkeypatch, root):
    monkeypatch.setenv("NEMOTRON_LAKE", root)
    with pytest.raises(PlaceError, match="NEMOTRON_LAKE holds a password or a query") as error:
        lake_root()
    assert "never-seen" not in str(error.value)
    monkeypatch.setenv("NEMOTRON_LAKE", "abfss://container@account.dfs.core.windows.net/lake")
    assert lake_root() == "abfss://container@account.dfs.core.windows.net/lake"


@pytest.mark.parametrize("options", [{"aws_secret": "x"}, {"endpoint_url": "http://me:never-seen@minio:9000"}])
def test_options_of_the_lake_with_a_secret_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match=f"must not contain {next(iter(options))}"):
        Lakehouse(root=str(tmp_path), storage_options=options)
