"""Planted credentials are found and replaced, and values that only look like credentials stay. The values are made at
run time, so that this file contains no credentials."""

from __future__ import annotations

import ast
import base64
import itertools
import random
import string
import time
import uuid

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


W, P, ID = drawn(14, seed=21), "k3(" + drawn(9, seed=22) + ")#v", str(uuid.UUID(int=random.Random(5).getrandbits(128)))
LOGIN = base64.b64encode(f"ann:{W}".encode()).decode()
BODY = [base64.b64encode(random.Random(n).randbytes(48)).decode() for n in range(6)]
PUTTY = "\n".join(
    ["PuTTY-User-Key-File-2: ssh-rsa", "Public-Lines: 1", BODY[0], "Private-Lines: 2", BODY[1], BODY[2][:20] + "==",
     "Private-MAC: 0f"]
)  # fmt: skip
OPEN_KEY = "-----BEGIN EC PRIVATE" + " KEY-----\n" + "\n".join(BODY)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (f"curl -s -X POST -u 'ann:{W}' https://ci.internal", W),
        (f'run(["curl", "--user", "ann:{W}", url])', W),
        (f"mysqldump -h db -uroot -p{W} shop > x.sql", W),
        (f"sshpass -p '{W}' ssh build; redis-cli -a {W} ping", W),
        (f"docker login -u ann -p {W} registry.internal", W),
        (f"wget --http-password={W} https://x.internal", W),
        (f"keytool -import -storepass {W} -file ca.pem", W),
        (f"machine git.internal\n  login ann\n  password {W}\n", W),
        (f'{{"auths": {{"registry.internal": {{"auth": "{LOGIN}"}}}}}}', LOGIN),
        (f"Authorization: Basic {LOGIN}", LOGIN),
        (f'"Server=db;Uid=sa;Pwd={W};Encrypt=True"', W),
        (f"CREATE USER shop IDENTIFIED BY '{W}';", W),
        (f"auth=HTTPBasicAuth('ann', '{W}')", W),
        (f"ENV DB_PASSWORD {W}\n", W),
        (f"export PGPASSWORD={W[:9]}x7Q\npsql", W[:9]),
        (f"signing.keyPassword={P}\n", P),
        (f'password = "{P}"', P),
        (f"'PASSWORD': '{P}',", P),
        ("SECRET_KEY = 'django-" + f"insecure-{P}{P}{P}'", P),
        (f"SECRET_KEY = '{P}+=_{W}@)&'", P),
        (f'HEROKU_API_KEY = "{ID}"', ID),
        (f"headers = {{'x-api-key': '{ID}'}}", ID),
        (f"let authToken = '{ID}';", ID),
        (f"https://discord.com/api/webhooks/{10**17 + 7}/{W * 4}x", W),
        (f"https://acme.webhook.office.com/webhookb2/{ID}@{ID}/IncomingWebhook/{'0a' * 16}/{ID}", ID),
        ("AT" + f"ATT3xFfGF0{W * 9}={W[:8].upper()}", W),
        ("EA" + f"ACEdEose0cBA{W * 5}", W),
        (f"{'0123456789abcdef'[::-1] * 2}-us7", "fedcba"),
        (f'PPK = """{PUTTY}"""', BODY[1]),
        (f'KEY = """{OPEN_KEY}"""', BODY[5]),
    ],
)
def test_kinds_that_were_once_missed_are_replaced(code, value):
    found = clean(code, RECIPE)
    assert value not in found.text and found.secrets
    assert clean(found.text, RECIPE).text == found.text


@pytest.mark.parametrize(
    "line",
    [
        f'password = "$2b$12${drawn(53, seed=31)}"',
        f"password: '$argon2id$v=19$m=65536,t=3,p=4${drawn(22, seed=32)}'",
        f'"password": "pbkdf2_sha256$260000${drawn(12, seed=33)}${BODY[0]}"',
        f'password = "{{bcrypt}}$2a$10${drawn(53, seed=34)}"',
        "private_key: X509CertificateHolderV3",
        "token: JwtBearerTokenHandlerV2",
        "api_key: Sha256HashedApiKeyV2",
        f'api_key_id = "{ID}"',
        f'"tokenId": "{ID}"',
        f"tenant_id = '{ID}'",
        'token_version = "v1beta2-2024"',
        'accessKey: "Ctrl+Shift+1"',
        'password = "string(min=8,max=32)"',
        'password_label = "Password(8+ chars)"',
        "curl -u $USER:$PASS1 https://x.internal",
        "curl -u user:password1 https://x.internal",
        "curl -u {user}:{api_key2} https://x.internal",
        "mysql -u root -p$MYSQL_PWD1 shop; mysql -u root -p shop2",
        "docker run -p 127.0.0.1:80:8080/tcp web; docker login --password-stdin",
        "keytool -storepass ${STORE_PASS1}; wget --password-file=pw1.txt",
        "machine x login y password $PASSWORD1",
        '"auth": "oauth2clientcredentials"',
        "Server=db;Password=<password1>;Pwd={0};",
        "CREATE USER x IDENTIFIED BY 'password1'",
        "Private-Lines: 14",
        "EAACCESS_LEVEL_OF_A_CONSTANT_WITH_A_VERY_LONG_NAME_2",
        'if "-----BEGIN RSA PRIVATE" + " KEY-----" in text:',
        "self.login('ann', password2)",
        "password=hash_of_v2(value), rounds=12",
    ],
)
def test_what_was_once_taken_for_a_credential_stays(line):
    assert clean(line, RECIPE).text == line


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
     "a://u:", "Bearer a1", "MN.", "1.2.3.4 ", "x@", "11111:AA", "sig=%", "a_key = ", '"', " ",
     "curl -u a:", "mysql -p", "Private-Lines: 1\n", "login a password ", '"auth": "', "ENV A_KEY ", "PASS=a1 ",
     "-----BEGIN PRIVATE KEY-----" + "A" * 40, "password = '(", "--pass ", "hooks.zapier.com/"],
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
