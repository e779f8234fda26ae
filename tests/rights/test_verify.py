"""Verification finds a removed text, id and address in every kind of store, and nothing of remaining documents."""

from __future__ import annotations

import contextlib
import gzip
import html
import json
import lzma
import re
import sqlite3
import unicodedata
import zipfile
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.rights import _passes
from nemotron_assets.rights.evidence import Evidence, Search, cells_of, fingerprints
from nemotron_assets.rights.targets import Target
from nemotron_assets.rights.verify import verify
from nemotron_assets.text import tokenizer as tokenizers

TEXT = (
    'Zwölf Boxkämpfer jagen "Viktor" quer über den großen Sylter Deich.\nThe operator \\nabla of a curl vanishes, '
    "and 'nobody' at C:\\new\\table reads a < b && c > d; the rest of this sentence is only here to be long enough.\n"
)
SHARED = "Everything that this sentence says is said by a document that stays as well, word by word."
OTHER = f"{SHARED} It also recommends to read www.gone.example, where more is written about boxing and its rules."
HOST, PAGE, REPO = Target("host", "gone.example"), Target("url", "a.example/x?q=1"), Target("repository", "me/gone")
ID = "0123456789abcdef0123456789abcdef"
TARGETS = (HOST, PAGE, REPO)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return fingerprints(lambda: [pa.array([TEXT + SHARED])], lambda: [pa.array([OTHER, None])], TARGETS, [ID])


@pytest.fixture
def home(tmp_path) -> Path:
    """A home in which a document stays that shares a sentence with the removed one, and names its host."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "note.txt").write_text(
        f"{OTHER}\nnot-gone.example gone.example.org sub.gone.example a.example/x?q=12"
    )
    return tmp_path


def found(home: Path, evidence: Evidence, targets=TARGETS) -> list:
    places = {"lake": str(home / "lake"), "dagster": str(home / "dagster"), "home": str(home)}
    result = verify(targets, evidence, places, threads=1)
    assert not result.unread, result.unread
    return result.findings


def written(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


# -- a plant in each store ---------------------------------------------------------------------------------------------


def in_table(home: Path, text: str) -> None:
    from nemotron_assets.table.schema import Column, Table
    from resources.lakehouse import Lakehouse

    table = Table("web", "curated", "T", (Column("id", "string", "i"), Column("text", "string", "t")))
    Lakehouse(root=str(home / "lake"), free_disk_mb=0).write(
        table, pa.table({"id": ["row-1", "row-2"], "text": ["", text]})
    )


def in_an_old_version(home: Path, text: str) -> None:
    in_table(home, text)
    in_table(home, "replaced, but the file of the version before is still there")


def in_list_and_struct(home: Path, text: str) -> None:
    rows = {"id": ["a", "b"], "notes": [[], ["", text]], "add": [{"stats": "{}"}, {"stats": json.dumps({"max": text})}]}
    (home / "lake/sft/seeds").mkdir(parents=True)
    pq.write_table(pa.table(rows), home / "lake/sft/seeds/part.parquet")


def in_raw_page(home: Path, text: str) -> None:
    page = f"<p>{html.escape(text).replace(' ', '</i> <i>')}</p>".encode("latin-1", "xmlcharrefreplace")
    rows = {"id": ["page"], "html": [page], "charset": ["iso-8859-1"]}
    (home / "lake/snapshots/pages/snapshot=S").mkdir(parents=True)
    pq.write_table(pa.table(rows), home / "lake/snapshots/pages/snapshot=S/part.parquet")


def in_delta_log(home: Path, text: str) -> None:
    entry = {"add": {"path": "x", "stats": json.dumps({"minValues": {"text": text}})}}
    written(home / "lake/web/documents/_delta_log/00000000000000000000.json", json.dumps(entry))


def _tokenizer(home: Path):
    folder = home / "lake/models/weights/tokenizer/0a1b"
    spelled = tokenizers.train([[TEXT, OTHER]], 600, 20, 1)
    tokenizers.save(spelled, folder, 512)
    return spelled


def in_token_shard(home: Path, text: str) -> None:
    ids = tokenizers.encode(_tokenizer(home), text)
    (home / "lake/blend/token_shards").mkdir(parents=True)
    rows = {"id": ["s1", "s2"], "tokens": pa.array([[7, 8], ids], pa.list_(pa.int32()))}
    pq.write_table(pa.table(rows), home / "lake/blend/token_shards/part.parquet")


def in_mapped_shard(home: Path, text: str) -> None:
    """As training/mapped.py writes it: a header and an index of int64, then the tokens. Importing it loads PyTorch."""
    tokens = np.array(tokenizers.encode(_tokenizer(home), text), np.int32)
    index = np.array([2, 2, 1, len(tokens), 0, 0, 1, 0, len(tokens)], np.int64)
    written(home / "cache/training/m/shards/00000000.tokens", index.tobytes() + tokens.tobytes())


def in_journal(home: Path, text: str) -> None:
    from resources.journal import Journal

    (home / "lake/_ledger").mkdir(parents=True)
    messages = json.dumps([{"role": "user", "content": text}])
    Journal(home / "lake/_ledger").append({"messages": messages, "at": datetime.now(UTC)})


def in_event_log(home: Path, text: str) -> None:
    import dagster as dg

    (home / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        metadata = {"preview": dg.MetadataValue.md(f"| text |\n|---|\n| {text} |")}
        instance.report_runless_asset_event(dg.AssetMaterialization("web", metadata=metadata))


def _database(home: Path, text: str):
    path = home / "dagster/schedules/schedules.db"
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.execute("create table ticks (id integer primary key, packed blob, body text)")
    rows = [(1, b"", "nothing"), (2, zlib.compress(text.encode()), text)]
    connection.executemany("insert into ticks values (?, ?, ?)", rows)
    connection.commit()
    return connection


def in_sqlite(home: Path, text: str) -> None:
    _database(home, text).close()


def in_compressed_cell(home: Path, text: str) -> None:
    with contextlib.closing(_database(home, text)) as connection:
        connection.execute("update ticks set body = ''")
        connection.commit()
        connection.execute("vacuum")


def in_deleted_row(home: Path, text: str) -> None:
    with contextlib.closing(_database(home, text)) as connection:
        connection.execute("pragma secure_delete = off")
        connection.execute("delete from ticks where id = 2")
        connection.commit()


def in_write_ahead_log(home: Path, text: str) -> None:
    connection = _database(home, "")
    connection.execute("pragma journal_mode=wal")
    connection.execute("insert into ticks values (3, null, ?)", (text,))
    connection.commit()
    OPEN.append(connection)  # closing it would empty the log


OPEN: list[sqlite3.Connection] = []


def in_catalog(home: Path, text: str) -> None:
    import duckdb

    with duckdb.connect(str(home / "cache/lake.duckdb")) as connection:
        connection.execute("create table catalog (note varchar)")
        connection.execute("insert into catalog values (?)", [text])


def in_view(home: Path, text: str) -> None:
    import duckdb

    with duckdb.connect(str(home / "cache/lake.duckdb")) as connection:
        connection.execute(f"create view v as select '{text.replace(chr(39), chr(39) * 2)}' as x")


def in_output_of_a_step(home: Path, text: str) -> None:
    written(home / "dagster/storage/run/compute_logs/step.err", f"one\ntwo: {text!r}\n")


def in_gzip(home: Path, text: str) -> None:
    written(home / "export/part.jsonl.gz", gzip.compress(json.dumps({"text": text}).encode()))


def in_archive(home: Path, text: str) -> None:
    (home / "export").mkdir()
    with zipfile.ZipFile(home / "export/a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text.txt", text)


def in_gzip_in_archive(home: Path, text: str) -> None:
    (home / "export").mkdir()
    with zipfile.ZipFile(home / "export/a.zip", "w") as archive:
        archive.writestr("text.gz", gzip.compress(text.encode()))


def in_notes_of_weights(home: Path, text: str) -> None:
    header = json.dumps({"__metadata__": {"note": text}}).encode()
    written(
        home / "lake/models/weights/base/0/model.safetensors", len(header).to_bytes(8, "little") + header + b"\0" * 64
    )


def in_report(home: Path, text: str) -> None:
    written(home / "report.html", f"<table><tr><td>{html.escape(text)}</td></tr></table>")


STORES = {
    in_table: ("web.curated", "row-2"),
    in_an_old_version: ("web.curated", "row-2"),
    in_list_and_struct: ("sft.seeds", "b"),
    in_raw_page: ("snapshots.pages", "page"),
    in_delta_log: ("log of web.documents", "line 1"),
    in_token_shard: ("blend.token_shards", "s2"),
    in_mapped_shard: ("cache of training", ""),
    in_journal: ("journal of the generation ledger", "line 1"),
    in_event_log: ("Dagster's runs and event log", None),
    in_sqlite: ("Dagster's schedules and sensors", "row 2"),
    in_compressed_cell: ("Dagster's schedules and sensors", "row 2"),
    in_deleted_row: ("Dagster's schedules and sensors", ""),
    in_write_ahead_log: ("Dagster's schedules and sensors", None),
    in_catalog: ("DuckDB catalog", "row 1"),
    in_view: ("DuckDB catalog", None),
    in_output_of_a_step: ("output of steps", "line 2"),
    in_gzip: ("files of the home", "line 1"),
    in_archive: ("files of the home", None),
    in_gzip_in_archive: ("files of the home", None),
    in_notes_of_weights: ("files of models", ""),
    in_report: ("files of the home", None),
}


@pytest.mark.parametrize("plant", STORES, ids=lambda plant: plant.__name__)
def test_a_removed_text_is_found_in_every_store(plant, home, evidence):
    plant(home, f"Before it. {TEXT} Behind it.")
    store, row = STORES[plant]
    texts = [finding for finding in found(home, evidence) if finding.what == "text"]
    assert store in {finding.store for finding in texts}, texts
    if row is not None:
        assert any((finding.rows or ("",))[0] == row for finding in texts if finding.store == store), texts


@pytest.mark.parametrize("plant", [in_table, in_journal, in_deleted_row, in_token_shard, in_view])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"made from {ID}.", "id"),
        ("https://www.GONE.example/about", "host"),
        ("see http://a.example/x?q=1.", "url"),
        ("clone git@github.com:me/gone", "repository"),
    ],
)
def test_an_id_or_address_is_found_in_every_store(plant, text, kind, home, evidence):
    plant(home, text)
    assert {finding.what for finding in found(home, evidence)} == {kind}


def test_what_remaining_documents_say_is_not_found(home, evidence):
    assert found(home, evidence) == []
    for plant in (in_table, in_journal, in_report, in_token_shard):
        plant(home, OTHER)
    assert found(home, evidence) == []


def test_a_shared_sentence_is_found_when_no_remaining_document_has_it(home):
    alone = fingerprints(lambda: [pa.array([SHARED])], list)
    assert {finding.what for finding in found(home, alone, ())} == {"text"}


def test_tombstones_may_hold_ids_but_no_text(home, evidence):
    written(home / "lake/rights/tombstones/part.json", json.dumps({"ids": [ID]}))
    written(home / "rights/identity-of-a-lake-elsewhere/evidence.json", json.dumps({"ids": [ID]}))
    assert found(home, evidence) == []
    written(home / "lake/rights/tombstones/more.json", json.dumps({"text": TEXT}))
    assert {finding.what for finding in found(home, evidence)} == {"text"}


def test_a_file_that_cannot_be_read_is_reported(home, evidence):
    written(home / "lake/web/curated/damaged.parquet", b"PAR1" + b"\0" * 100)
    result = verify(TARGETS, evidence, {"lake": str(home / "lake")}, threads=1)
    assert list(result.unread) == [f"{home}/lake/web/curated/damaged.parquet"]
    assert not result.is_clean


def test_a_tokenizer_that_cannot_be_read_is_reported(home, evidence):
    for name, data in (("damaged", b"{"), ("without_words", b'{"model": {"type": "BPE"}}'), ("other", b"{}")):
        written(home / "cache" / "hub" / name / "main" / "tokenizer.json", data)
    result = verify(TARGETS, evidence, {"home": str(home)}, threads=1)
    assert {path.split("/")[-3] for path in result.unread} == {"damaged", "without_words"}


def test_a_file_that_is_not_unpacked_is_reported(home, evidence):
    written(home / "export/part.jsonl.xz", lzma.compress(TEXT.encode()))
    result = verify(TARGETS, evidence, {"home": str(home)}, threads=1)
    assert ["compressed as xz" in problem for problem in result.unread.values()] == [True]


def test_a_text_longer_than_what_is_read_at_once_is_found(home, evidence, monkeypatch):
    from nemotron_assets.rights import evidence as searching
    from nemotron_assets.rights import stores

    for module in (searching, stores):
        monkeypatch.setattr(module, "GROUP_BYTES", 2_000)
        monkeypatch.setattr(module, "_OVERLAP", 600)
    for before in range(1_600, 2_100, 50):
        written(home / "long.txt", f"{'x ' * (before // 2)}{TEXT}{'y ' * 3_000}")
        assert {finding.what for finding in found(home, evidence)} == {"text"}


def test_evidence_is_stored_without_texts(evidence, tmp_path):
    evidence.save(tmp_path / "evidence.npz")
    stored = Evidence.load(tmp_path / "evidence.npz")
    assert np.array_equal(stored.pieces, evidence.pieces)
    assert np.array_equal(stored.mentions, evidence.mentions)
    assert (stored.ids, stored.every) == (evidence.ids, 1)
    assert b"Boxk" not in (tmp_path / "evidence.npz").read_bytes()


# -- pieces ------------------------------------------------------------------------------------------------------------


def pieces(text: str) -> set[int]:
    return set(fingerprints(lambda: [pa.array([text])], list).pieces.tolist())


def normalised(text: str) -> str:
    """The definition in plain Python, of a text without escapes."""
    kept = (c.lower() if unicodedata.category(c)[0] in "LMN" else " " for c in text)
    return " ".join("".join(kept).split())


letters = st.text(st.sampled_from("abc ÄßéЖ字\n.-0"), max_size=120)


@given(letters)
def test_a_text_has_a_piece_per_run_of_forty_characters(text):
    plain = normalised(text)
    assert len(pieces(text)) == len({plain[k : k + _passes.SIZE] for k in range(len(plain) - _passes.SIZE + 1)})


escaped = st.text(st.sampled_from('abn\\tuf09 "/é𝒳\n\r\t'), min_size=45, max_size=120)


@given(escaped.filter(lambda text: not re.search(r"\\[é𝒳]", text)))
def test_escaping_changes_no_piece(text):
    once = json.dumps(text, ensure_ascii=True)
    assert pieces(text) == pieces(once) == pieces(json.dumps(once))


@given(st.text(st.sampled_from("abc <>'\"é;\n"), min_size=45, max_size=120))
def test_entities_of_html_change_no_piece(text):
    assert (
        pieces(text)
        == pieces(html.escape(text))
        == pieces(text.replace("é", "&eacute;"))
        == pieces(text.replace("é", "&#xE9;"))
    )


@given(st.binary(max_size=300))
def test_any_bytes_can_be_searched(data):
    search = Search(Evidence(np.array([1, 2, 3], np.uint64), ids=frozenset([ID])), TARGETS)
    cells = cells_of(data)
    assert search.pieces_in(cells).tolist() == [0]
    assert len(search.hits_in(cells)) == 0


def test_too_many_pieces_are_thinned_alike():
    many = [pa.array([f"{k:09d} is a number of nine digits, and {k * k:015d} its square" for k in range(200)])]
    all_ = fingerprints(lambda: many, list)
    some = fingerprints(lambda: many, list, most=1_000)
    assert 300 < len(some.pieces) <= 1_000 < len(all_.pieces)
    assert set(some.pieces.tolist()) == {piece for piece in all_.pieces.tolist() if piece % some.every == 0}
