"""Opt-out lists: what an entry covers, other spellings of an address, mistakes in lists, long lists."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.recipe.web.privacy import OptOuts
from nemotron_assets.text.opt_outs import (
    OptOutError,
    canonical_host,
    canonical_path,
    lists_version,
    load,
    parse_address,
)


def fate(url: str, *lines: str) -> str | None:
    return load(OptOuts(lines=lines)).reasons([url])[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/", "http://example.com", "HTTP://EXAMPLE.COM/x", "https://example.com./",
        "https://www.example.com/",
        "https://a.b.example.com:8443/x?q", "https://user:pass@example.com/", "https://example.org@example.com/",
        "https://ex%61mple.com/", "https://ｅｘａｍｐｌｅ．ｃｏｍ/", "https://example。com/",
        "https:\\\\example.com\\x",
        "https:/example.com/", "https:////example.com/", " https://exam\tple.com/\n",
        "//example.com/x", "example.com/x",
        "https://example.com#https://example.org/", "https://example.com?x", "https://exa\u00admple.com/",
    ],
)  # fmt: skip
def test_spellings_of_a_host(url):
    assert fate(url, "example.com") == "blocked_host"


@pytest.mark.parametrize(
    "url",
    ["https://notexample.com/", "https://example.com.org/", "https://example.org/example.com/", "https://com/",
     "https://example.org/?u=https://example.com/", "https://example.com@example.org/", "https://example.org\\@example.com/",
     "https://xn--example-9na.com/", "", "https://", "mailto:x", "https://exa mple.com/"],
)  # fmt: skip
def test_other_hosts(url):
    assert fate(url, "example.com") is None


@pytest.mark.parametrize(
    ("url", "line", "expected"),
    [
        ("https://BÜCHER.example/x", "xn--bcher-kva.example", "blocked_host"),
        ("https://xn--bcher-kva.example/", "Bücher.example.", "blocked_host"),
        ("https://XN--BCHER-KVA.example/", "bücher.example", "blocked_host"),
        ("https://sub.example.com/", "*.example.com", "blocked_host"),
        ("https://example.com/", "*.example.com", None),
        ("https://anything.zip/", "*.zip", "blocked_host"),
        ("http://0xC0.0.0x2.21/", "192.0.2.21", "blocked_host"),
        ("http://3221226005/", "192.0.2.21", "blocked_host"),
        ("http://1.192.0.2.21.example/", "192.0.2.21", None),
        ("http://[2001:DB8:0:0::1]:80/", "[2001:db8::1]", "blocked_host"),
        ("https://example.com/about", "https://example.com/about", "blocked_url"),
        ("http://EXAMPLE.com.:81/about#team", "https://example.com/about", "blocked_url"),
        ("https://example.com/%61b%6Fut", "https://example.com/about", "blocked_url"),
        ("https://example.com/x/..//./about?", "https://example.com/about", "blocked_url"),
        ("https://example.com/x/%2e%2E/about", "https://example.com/about", "blocked_url"),
        ("https://example.com\\about", "example.com/about", "blocked_url"),
        ("https://example.com/caf%c3%a9", "https://example.com/café", "blocked_url"),
        ("https://example.com/About", "https://example.com/about", None),
        ("https://example.com/about/", "https://example.com/about", None),
        ("https://example.com/about?x=1", "https://example.com/about", None),
        ("https://sub.example.com/about", "https://example.com/about", None),
        ("https://example.com/?id=7", "https://example.com?id=7", "error"),
        ("https://example.com/?id=7", "https://example.com/?id=7", "blocked_url"),
        ("https://example.com/people/jane", "https://example.com/people/*", "blocked_url"),
        ("https://example.com/people/", "https://example.com/people/*", "blocked_url"),
        ("https://example.com/people", "https://example.com/people/*", None),
        ("https://example.com/peoples", "https://example.com/people*", "blocked_url"),
        ("https://example.com/a/private/b.html", "example.com/*/private/*.html", "blocked_url"),
        ("https://example.com/a/private/b.htm", "example.com/*/private/*.html", None),
        ("https://example.com/private.html", "example.com/private*private.html", None),
        ("https://a.example.com/people/x", "https://*.example.com/people/*", "blocked_url"),
        ("https://example.com/people/x", "https://*.example.com/people/*", None),
        ("https://example.com/x", "example.com/*", "blocked_url"),
    ],
)
def test_what_an_entry_covers(url, line, expected):
    if expected == "error":
        with pytest.raises(OptOutError):
            fate(url, line)
    else:
        assert fate(url, line) == expected


def test_a_blocked_host_comes_before_a_blocked_address():
    assert fate("https://example.com/x", "example.com/*", "example.com") == "blocked_host"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("com", r"whole top-level domain; write \*\.com to block"),
        ("0.0.0.0 ads.example.com", "one entry a line"),
        ("ftp://example.com/x", "only http"),
        ("exa*mple.com", r"\* may stand for"),
        ("*", r"not a valid host name|may stand for"),
        ("a..example.com", "not a valid host name"),
        ("https://", "not a valid host name"),
        ("/private/*", "not a valid host name"),
        ("256.1.1.1", "not a valid host name"),
        ("example.com?x=1", "a host, a slash and a path"),
        ("example.com/" + "x" * 3_000, "has 3,012 characters; an entry is not longer than 2,048"),
        ("-example.com", "not a valid host name"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path, line, words):
    path = tmp_path / "list.txt"
    path.write_text(f"# opted out\nexample.org\n\n  example.net  # by mail\n{line}\nexample.info\n")
    with pytest.raises(OptOutError, match=rf"{re.escape(str(path))}, line 5: .*({words})"):
        load(OptOuts(files=(str(path),)))
    with pytest.raises(OptOutError, match=rf"opt_outs\.lines, line 2: .*({words})"):
        load(OptOuts(lines=("example.org", line)))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(OptOutError, match=r"nowhere\.txt: No such file.*documents\.opt_outs\.files"):
        load(OptOuts(files=(str(tmp_path / "nowhere.txt"),)))
    path = tmp_path / "list.txt"
    path.write_bytes(b"example.org\nb\xfccher.example\n")
    with pytest.raises(OptOutError, match=r"list\.txt, line 2: it is not UTF-8"):
        load(OptOuts(files=(str(path),)))


def test_a_file_is_read_as_people_write_it(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(
        "\ufeff# list\r\nExample.COM\r\nexample.org\n\n  bücher.example\t# comment\nexample.net/#x\n"
        "last.example".encode()
    )
    entries = load(OptOuts(files=(str(path),), lines=("192.0.2.1",)))
    blocked = ["example.com", "example.org", "bücher.example", "last.example", "192.0.2.1", "example.net/"]
    assert None not in entries.reasons([f"https://{host}" for host in blocked])
    assert entries.reasons(["https://example.net/x", "https://list/"]) == [None, None]
    assert (entries.hosts, entries.addresses) == (5, 1)


def test_long_lists(tmp_path):
    path = tmp_path / "hosts.txt"
    path.write_text("".join(f"host{n}.domain{n % 997}.example\n" for n in range(200_000)) + "Odd.Example\n")
    entries = load(OptOuts(files=(str(path),)))
    assert entries.hosts == 200_001
    urls = [f"https://www.host{n}.domain{n % 997}.example/" for n in range(0, 200_000, 1_999)]
    assert set(entries.reasons(urls)) == {"blocked_host"}
    assert set(entries.reasons([url.replace("//www.host", "//host-") for url in urls])) == {None}
    assert entries.reasons(["https://odd.example"]) == ["blocked_host"]


def test_the_version_is_that_of_the_content(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("example.org\n")
    recipe = OptOuts(files=(str(path),))
    before = lists_version(recipe)
    path.write_text("example.org\nexample.com\n")
    assert lists_version(recipe) != before
    path.write_text("example.org\n")
    assert lists_version(recipe) == before == load(recipe).version
    path.unlink()
    assert lists_version(recipe) != before
    assert lists_version(OptOuts(lines=("a.example",))) != lists_version(OptOuts(lines=("b.example",)))


@given(st.text(max_size=60))
def test_any_address_can_be_asked_for(text):
    entries = load(OptOuts(lines=("example.com", "example.com/x*y", "example.com/a*", "example.com/b")))
    assert entries.reasons([text, f"https://{text}", f"https://example.org/{text}"])[2] != "blocked_host"
    page = parse_address(f"https://example.com/{text}")
    if page is not None and page.host == "example.com":
        # The canonical form of a canonical form is itself.
        assert canonical_path(page.path) == page.path
        assert page.path.isascii()


@given(st.text(alphabet="aZ0-._é%:@[]\u3002\u00df", max_size=30))
def test_the_canonical_form_of_a_host_is_stable(name):
    host = canonical_host(name)
    if host is not None:
        assert canonical_host(host) == host
        assert host == host.lower()
        assert host.isascii()
