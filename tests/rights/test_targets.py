"""What `nemotron forget` understands: kinds of targets, their normal forms, files of targets, and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.rights.targets import BadTarget, Target, host_address, page_address, target, targets


@pytest.mark.parametrize(
    ("word", "kind", "value"),
    [
        ("https://www.Example.org:443/%7Ea/./b?q=%41#part", "url", "example.org/~a/b?q=A"),
        ("http://example.org:8080", "url", "example.org:8080/"),
        ("WWW.example.org", "host", "example.org"),
        ("bücher.example", "host", "xn--bcher-kva.example"),
        ("host:localhost", "host", "localhost"),
        ("Owner/Name", "repository", "owner/name"),
        ("repository:group/sub/name", "repository", "group/sub/name"),
        ("repository:My.Team/name", "repository", "my.team/name"),
        ("0123456789ABCDEF0123456789abcdef", "id", "0123456789abcdef0123456789abcdef"),
        ("ingest:mine/texts.jsonl#7", "url", "ingest:mine/texts.jsonl#7"),
        ("host:ingest:mine/texts.jsonl#0", "host", "ingest:mine/texts.jsonl#0"),
    ],
)
def test_a_word_names_a_target_in_its_normal_form(word, kind, value):
    assert target(word) == Target(kind, value)
    assert target(str(target(word)) if kind != "url" or value.startswith("ingest:") else word) == Target(kind, value)


@pytest.mark.parametrize(
    "word", ["", "example", "http://", "host:a/b", "id:12", "http://a:99999/", "owner/na me", "/x", "a.org/x"]
)
def test_other_words_are_refused_with_the_word_in_the_message(word):
    with pytest.raises(BadTarget) as error:
        target(word)
    assert not word or word.rpartition(":")[2][:20] in str(error.value)


def test_a_file_has_a_target_on_each_line(tmp_path):
    (tmp_path / "list").write_text("\ufeff# people who asked\nexample.org\n\n https://example.org/a \nowner/name\n")
    found = targets([str(tmp_path / "list"), "www.example.org"])
    assert list(map(str, found)) == ["host:example.org", "url:example.org/a", "repository:owner/name"]
    (tmp_path / "bad").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadTarget, match="not a text file"):
        targets([str(tmp_path / "bad")])


@given(st.text(max_size=40))
def test_an_address_has_one_normal_form_or_is_refused(path):
    try:
        once = page_address(f"https://example.org/{path}")
    except BadTarget:
        return
    assert page_address(f"http://www.EXAMPLE.org:80/{path}") == once == page_address(f"http://{once}")


@given(st.text(max_size=30))
def test_no_word_does_more_than_raise_bad_target(word):
    for read in (target, host_address, page_address):
        try:
            read(word)
        except BadTarget:
            pass
