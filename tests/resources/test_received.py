"""What a source sent instead of a file is recognised; archives and WARC files name it too."""

import io

import pytest

from nemotron_assets.recipe import load_recipe
from nemotron_assets.warc.reader import Limits, NotWarc, WarcFile
from resources.received import described, is_html
from resources.repositories.archives import archive_entries
from resources.repositories.source import RepositoryError

PAGE = b"\xef\xbb\xbf\n<!-- a comment -->\n<HTML lang=en><head><meta charset=utf-8><Title>Log in</Title>"


def test_pages_are_recognised():
    assert is_html(PAGE) and described(PAGE) == "an HTML page with the title 'Log in'"
    assert described(b"<html>") == "an HTML page" and described(b"") == "empty"
    assert not is_html(b"<htmlfoo>") and not is_html(b"PK\3\4<html>")
    assert described("ü".encode() * 3_000).startswith("a text that begins with 'üü")


def test_a_warc_file_and_an_archive_that_are_a_page_say_so():
    with pytest.raises(NotWarc, match="no WARC record: it is an HTML page with the title 'Log in'"):
        WarcFile(io.BytesIO(PAGE), Limits())
    with pytest.raises(RepositoryError, match="it is not an archive: it is an HTML page with the title 'Log in'"):
        list(archive_entries(io.BytesIO(PAGE), load_recipe("laptop").code.sources))
