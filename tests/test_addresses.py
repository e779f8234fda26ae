"""Secrets of addresses, keys and the environment: split off when a recipe is read, and found in no message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.recipe import RecipeError, load_recipe
from nemotron_assets.recipe.addresses import access_to, keep_secret, public, redacted, without_known_secrets

SECRET = "Xk3-hidden-9Q"
ADDRESS = f"https://reader:{SECRET}@host.example:8443/base?sig={SECRET}&v=1#part"


@pytest.fixture
def recipe(tmp_path):
    """A function that loads a recipe which extends `laptop`; it returns the recipe, or the message of its refusal."""

    def load(text: str):
        path = tmp_path / "mine.yaml"
        path.write_text(f"extends: laptop\n{text}")
        try:
            return load_recipe(str(path))
        except RecipeError as error:
            return str(error)

    return load


def test_an_address_is_split_into_what_may_be_shown_and_what_not():
    assert public(ADDRESS) == "https://host.example:8443/base"
    access = access_to("https://host.example:8443/base")
    assert access.login == ("reader", SECRET) and access.query == f"sig={SECRET}&v=1"
    assert SECRET not in repr(access)
    assert public(public(ADDRESS)) == public(ADDRESS)
    assert access_to("https://host.example:8443/base") == access  # reading the public part again forgets nothing
    assert access_to(public("https://a%40b:c%2Fd@other")).login == ("a@b", "c/d")
    assert access_to("https://never.seen").login is None


def test_the_author_of_a_commit_is_not_a_secret(monkeypatch):
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "somebody.else@example.org")
    monkeypatch.setenv("PROXY_AUTHORIZATION", "Basic dXNlcjpwYXNzd29yZA")
    text = "write to somebody.else@example.org with Basic dXNlcjpwYXNzd29yZA"
    assert without_known_secrets(text, 16) == "write to somebody.else@example.org with ***"


@pytest.mark.parametrize("place", ["sample", "/data/a?b#c@d", "C:\\x", "name", "../a b", "file:///x?y", "http:/x@y"])
def test_what_is_not_an_address_is_left_alone(place):
    assert public(place) == place


@pytest.mark.parametrize(
    "text",
    [
        "snapshots: {crawl: {source: 'ADDRESS'}}",
        "llm: {base_url: 'ADDRESS'}",
        "llm: {endpoints: [{base_url: 'ADDRESS'}]}",
        "code: {sources: {sources: [{name: a, kind: github, path: b, url: 'ADDRESS'}]}}",
    ],
)
def test_no_value_of_a_recipe_holds_a_secret(recipe, text):
    plain = recipe(text.replace("ADDRESS", "https://host.example:8443/base"))
    for secret in ("one-Password", "another-Password"):
        loaded = recipe(text.replace("ADDRESS", f"https://reader:{secret}@host.example:8443/base?sig={secret}"))
        # The hashes of sections are equal too: they are stored as code versions, and a new password changes no data.
        assert loaded == plain and loaded.hash() == plain.hash()
        assert secret not in repr(loaded) + loaded.model_dump_json()
        assert access_to("https://host.example:8443/base").login == ("reader", secret)


@pytest.mark.parametrize(
    "text",
    [
        f"snapshots: {{crawl: {{source: 's3://key:{SECRET}@bucket/x'}}}}",
        f"snapshots: {{crawl: {{source: 's3://bucket/x?key={SECRET}'}}}}",
        f"snapshots: {{crawl: {{source: 'ftp://me:{SECRET}@host'}}}}",
        f"snapshots: {{crawl: {{source: 'http://me:{SECRET}/@host'}}}}",
        f"snapshots: {{crawl: {{source: 'http://me:@{SECRET}/a@host'}}}}",
        f"snapshots: {{crawl: {{source: ['http://me:{SECRET}@host']}}}}",
        f"snapshots: {{crawl: {{source: 'http://me:{SECRET}@host', max_snapshots: 0}}}}",
        f"snapshots: {{crawl: {{source: 'http://me:{SECRET}@host, max_snapshots: 1}}}}",
        f"snapshots: {{crawl: {{source: 'http://me:{SECRET}@[host'}}}}",
        f"snapshots: {{crawl: {{ssource: 'http://me:{SECRET}@host'}}}}",
        f"snapshots: 'http://me:{SECRET}@host'",
        f"llm: {{base_url: 'htp://me:{SECRET}@host/v1'}}",
        f"llm: {{base_url: 'http://me:{SECRET}@host/v1', api_key_env: KEY}}",
        f"llm: {{api_key_env: sk-{SECRET}}}",
        f"llm: {{endpoints: [{{base_url: 'http://host/v1', api_key_env: sk-{SECRET}}}]}}",
        f"llm: {{api_key_env: KEY, endpoints: [{{base_url: 'http://me:{SECRET}@host/v1'}}]}}",
        f"code: {{sources: {{sources: [{{name: a, kind: github, path: b, url: 'ftp://me:{SECRET}@host'}}]}}}}",
    ],
)
def test_no_refusal_of_a_recipe_shows_a_secret(recipe, text):
    message = recipe(text)
    assert isinstance(message, str) and SECRET not in message, message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"at http://me:{SECRET}@host:1/x: refused", "at http://host:1/x: refused"),
        (f"url 'https://host/x?sig={SECRET}'", "url 'https://host/x'"),
        (f"http://me:a/{SECRET}@host/x", "http://host/x"),
        (f"a http://one/x and http://{SECRET}@two/y", "a http://one/x and http://two/y"),
        ("http://host:80/mail@place stays", "http://host:80/mail@place stays"),
        ("nothing here: a@b, 5?", "nothing here: a@b, 5?"),
    ],
)
def test_addresses_in_texts_are_shortened(text, shown):
    assert redacted(text) == shown


def test_long_texts_are_searched_in_linear_time():
    """Without a bound on the length of a scheme, a text of this length would take an hour."""
    assert redacted("a" * 1_000_000) == "a" * 1_000_000


def test_known_secrets_are_removed_from_texts(monkeypatch):
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "token-of-a-service")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:proxy-password@proxy:3128")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/socket-of-ssh")
    keep_secret("key with spaces")
    keep_secret("short")
    text = "token-of-a-service proxy-password /tmp/socket-of-ssh key with spaces key%20with%20spaces short"
    assert redacted(text) == "*** *** /tmp/socket-of-ssh *** *** short"
    assert without_known_secrets("token-of-a-service, proxy-password", shortest=16) == "***, proxy-password"


@given(st.text(max_size=60), st.sampled_from(["", "http://", "s3://", "https://a:b@", "gs://x/?"]))
def test_an_address_is_split_or_refused_whatever_it_is(text, start):
    from pydantic import TypeAdapter, ValidationError

    from nemotron_assets.recipe.addresses import Address

    try:
        shown = TypeAdapter(Address).validate_python(start + text)
    except ValidationError:
        return
    assert public(shown) == shown
    if shown.startswith(("http://", "https://")):
        assert "@" not in shown.split("/")[2] and "?" not in shown and "#" not in shown
    json.dumps(redacted(start + text))
