"""Planted credentials are found and replaced, and values that only look like credentials stay. The values are made at
run time, so that this file contains no credentials."""

from __future__ import annotations

import ast
import itertools
import random
import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemotron_assets.code.quality.secrets import Found, clean, entropy, secrets
from nemotron_assets.recipe.code.quality import Secrets
from tests.code.quality import credentials

RECIPE = Secrets()


def drawn(length: int, alphabet: str = string.ascii_letters + string.digits, seed: int = 1) -> str:
    chance = random.Random(seed)
    while True:
        value = "".join(chance.choice(alphabet) for _ in range(length))
        if any(map(str.isdigit, value)) and any(map(str.isupper, value)):
            return value


UPPER = string.ascii_uppercase + string.digits
PLANTED = {
    "aws_key": "AK" + "IA" + drawn(16, UPPER),
    "github_token": "gh" + "p_" + drawn(36),
    "gitlab_token": "glp" + "at-" + drawn(20),
    "slack_token": "xo" + "xb-" + "-".join([drawn(12, UPPER), drawn(24)]),
    "google_key": "AI" + "za" + drawn(35),
    "stripe_key": "sk" + "_live_" + drawn(24),
    "npm_token": "np" + "m_" + drawn(36),
    "openai_key": "s" + "k-proj-" + drawn(48),
    "jwt": ".".join(["ey" + "J" + drawn(20), "ey" + "J" + drawn(40), drawn(43)]),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_tokens_are_replaced(kind):
    code = f'client = connect("{PLANTED[kind]}")\n'
    found = clean(code, RECIPE)
    assert found.secrets == (kind,) and PLANTED[kind] not in found.text
    ast.parse(found.text)


def test_private_keys_are_replaced():
    body = "\n".join(drawn(64, seed=n) for n in range(12))
    for name in ("RSA ", "EC ", "OPENSSH ", ""):
        begin, end = f"-----BEGIN {name}PRIVATE" + " KEY-----", f"-----END {name}PRIVATE" + " KEY-----"
        found = clean(f'KEY = """{begin}\n{body}\n{end}"""\n', RECIPE)
        assert found.secrets == ("private_key",) and body[:40] not in found.text and body[-40:] not in found.text


@pytest.mark.parametrize(
    "line", ['password = "{}"', "api_key: '{}'", '"client_secret": "{}",', 'SECRET_KEY := "{}"', "auth-token => '{}'"]
)
def test_assigned_values_are_replaced(line):
    if line.startswith("auth-token"):
        line = line.replace("auth-token", "token")
    value = drawn(28, seed=7)
    found = clean(line.format(value), RECIPE)
    assert found.secrets == ("assigned",) and value not in found.text


@pytest.mark.parametrize(
    "line",
    ['password = "changeme123456"', 'token = "your-token-goes-here1"', 'api_key = "EXAMPLEKEY1234567890"',
     'secret = os.environ["SECRET_NAME_2"]', 'password = ""', 'token = "identifier"', "password = get_password('user')",
     'key = "the quick brown fox"', "postgres://user:password@localhost/db",
     "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
     "-----BEGIN " + "PRIVATE KEY-----"],
)  # fmt: skip
def test_what_only_looks_alike_stays(line):
    assert clean(line, RECIPE).secrets == ()


def shown(value: str) -> str:
    """The part of a value by which one sees whether it is still there: of a key, its last line."""
    return max(value.replace("\\n", "\n").split("\n")[1:-1], default=value, key=len)


def test_kinds_of_credentials_are_found_wherever_they_stand():
    """At least 98 in 100 of every kind; a value drawn by chance may look like words."""
    for kind in credentials.planted(0):
        cases = [case for seed in range(10) for case in credentials.planted(seed)[kind]]
        missed = [line for line, value in cases if shown(value) in clean(line, RECIPE).text]
        assert len(missed) <= 0.02 * len(cases), (kind, missed[:5])


@pytest.mark.parametrize("kind", credentials.lookalikes(0))
def test_what_resembles_credentials_stays(kind):
    for seed in range(10):
        for line in credentials.lookalikes(seed)[kind]:
            assert clean(line, RECIPE).text == line


def test_python_is_python_still_and_nothing_changes_any_more():
    lines = [line for cases in credentials.planted(3).values() for line, _ in cases]
    parsed = 0
    for line in lines:
        once = clean(line, RECIPE)
        assert clean(once.text, RECIPE) == Found(once.text, (), ())
        try:
            ast.parse(line)
        except (SyntaxError, ValueError):
            continue
        ast.parse(once.text)
        parsed += 1
    assert parsed > 80


def test_password_in_an_address():
    value = drawn(14, seed=3)
    found = clean(f"URL = 'postgres://admin:{value}@db.internal:5432/x'", RECIPE)
    assert found.secrets == ("url_password",) and value not in found.text and "db.internal" in found.text


def test_addresses_of_people_and_machines():
    found = clean("# Jane <jane.doe@gmail.com>, host 93.184.216.34:80; me@example.com, 127.0.0.1\n", RECIPE)
    assert found.personal == ("email", "ip")
    assert "jane" not in found.text and "93.184" not in found.text
    assert "me@example.com" in found.text and "127.0.0.1" in found.text


@pytest.mark.parametrize(
    "line",
    [
        "part = layout[2::4] + layout[3::2]",
        'GIVEN_NAME = ObjectIdentifier("2.5.4.42")',
        "oid = '1.3.101.113'",
        "name = this@MainActivity.name",
        "listOf(1).forEach { return@forEach }",
        'version="1.2.3.4"',
        "host = 0.0.0.0",
        "# RFC 5737: 192.0.2.1, 198.51.100.7 and 2001:db8::1",
        "ssh git@github.com:a/b.git",
        "a @ b.T",
    ],
)
def test_code_that_looks_like_addresses_stays(line):
    assert clean(line, RECIPE).text == line


@pytest.mark.parametrize(
    "unit",
    ["token", "passwordpassword", "password=a1", "token:  \t", "sk-", "eyJ-", "eyJa.", "-----BEGIN PRIVATE KEY-----\n",
     "a://u:", "Bearer a1", "MN.", "1.2.3.4 ", "x@", "11111:AA", "sig=%", "a_key = ", '"', " "],
)  # fmt: skip
def test_hostile_texts_take_time_in_proportion_to_their_length(unit):
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        start = time.process_time()
        clean(text, RECIPE)
        return time.process_time() - start

    assert seconds(80_000) < 10 * max(seconds(20_000), 0.02)  # 16 times where every place looks at all others


def test_keep_and_drop_change_no_text():
    code = f'x = "{PLANTED["aws_key"]}"  # jane.doe@gmail.com'
    for action in ("keep", "drop"):
        found = clean(code, Secrets(action=action, personal=action))
        assert (found.text, found.secrets, found.personal) == (code, ("aws_key",), ("email",))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*PLANTED.values(), 'password="', "token: '", "'", '"', " ", "\n", "@gmail.com", "a.b",
            "://u:"]),
            st.text(max_size=20),
        ),
        max_size=12,
    ).map("".join)
)  # fmt: skip
@example(text=f"{PLANTED['openai_key']}@gmail.com://u:{PLANTED['aws_key']}@gmail.com@gmail.com")
def test_cleaning_twice_changes_nothing(text):
    once = clean(text, RECIPE)
    again = clean(once.text, RECIPE)
    assert again.text == once.text and again.secrets == () and again.personal == ()
    places = list(secrets(text, RECIPE))
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(places))


def test_entropy():
    assert entropy("aaaa") == 0 and entropy("abcd") == 2
