"""Lines of code with credentials of 40 kinds, and with 40 kinds of values that only look like credentials.

Credentials are drawn at random in the formats that their services document; none was ever issued. Prefixes are put
together here, so that no scanner takes this file for a leak. Nothing is imported from the rules that are measured.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
DJANGO = "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)"
#: Where a value that is known by itself may stand, by the language of the code.
PLACES = (
    'token = "{}"',
    "const t = '{}';",
    "  key: {}",
    "export X={}",
    "# {}",
    '"{}",',
    "curl -H 'X: {}' $URL",
    "// {}",
)


class Draw:
    """Random values; equal seeds give equal values."""

    def __init__(self, seed: object):
        self.rng = random.Random(str(seed))

    def of(self, length: int, alphabet: str = ALNUM) -> str:
        while True:
            value = "".join(self.rng.choice(alphabet) for _ in range(length))
            if any(map(str.isdigit, value)) and any(map(str.isalpha, value)):
                return value

    def digits(self, length: int) -> str:
        return str(self.rng.randrange(10 ** (length - 1), 10**length))

    def b64(self, size: int) -> str:
        return base64.b64encode(self.rng.randbytes(size)).decode()

    def url64(self, size: int) -> str:
        return base64.urlsafe_b64encode(self.rng.randbytes(size)).decode().rstrip("=")

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def password(self) -> str:
        """A password of 12 to 18 letters and digits with signs, as password managers make them."""
        signs = "!@#%^&*()-_=+[]{}"
        while True:
            value = "".join(self.rng.choice(ALNUM + signs) for _ in range(self.rng.randint(12, 18)))
            kinds = (str.islower, str.isupper, str.isdigit, lambda c: c in signs)
            if all(any(map(kind, value)) for kind in kinds) and value[0].isalnum() and value[-1].isalnum():
                return value

    def word(self) -> str:
        """A password of letters and digits alone, for command lines."""
        while True:
            value = self.of(self.rng.randint(11, 16))
            if len({(c.isupper(), c.isdigit()) for c in value}) == 3:
                return value

    def choice(self, options):
        return self.rng.choice(options)


def pem(d: Draw, name: str, lines: int = 14, end: bool = True) -> str:
    body = "\n".join(d.b64(48) for _ in range(lines))
    return (
        f"-----BEGIN {name}PRIVATE" + f" KEY-----\n{body}" + (f"\n-----END {name}PRIVATE" + " KEY-----" if end else "")
    )


def putty(d: Draw) -> str:
    private = "\n".join([d.b64(48), d.b64(27)])
    return (
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: key\nPublic-Lines: 2\n"
        f"{d.b64(48)}\n{d.b64(3)}\nPrivate-Lines: 2\n{private}\nPrivate-MAC: {d.of(64, HEX)}"
    )


def jwt(d: Draw) -> str:
    def part(data: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return ".".join([part({"alg": "HS256", "typ": "JWT"}), part({"sub": d.digits(10), "name": d.of(8)}), d.url64(32)])


def hidden(value: str) -> str:
    """The part of a credential that must be gone: of a key its second last line, of a base64 login all of it."""
    lines = [line for line in value.split("\n") if line]
    return lines[-3] if len(lines) > 4 else value


def basic(d: Draw) -> str:
    return base64.b64encode(f"deploy:{d.word()}".encode()).decode()


#: Kind -> (value, lines one of which holds it).
Kind = Callable[[Draw], tuple[str, tuple[str, ...]]]
_ = "".join
CREDENTIALS: dict[str, Kind] = {
    "AWS access key": lambda d: (_(("AK", "IA")) + d.of(16, UPPER), PLACES),
    "AWS secret key": lambda d: (d.b64(30), ('aws_secret_access_key = "{}"', "AWS_SECRET_ACCESS_KEY={}")),
    "GitHub token": lambda d: (f"gh{d.choice('pousr')}" + "_" + d.of(36), PLACES),
    "GitHub fine-grained token": lambda d: ("github" + "_pat_" + d.of(22) + "_" + d.of(59), PLACES),
    "GitLab token": lambda d: ("gl" + "pat-" + d.of(20), PLACES),
    "Slack bot token": lambda d: ("xo" + f"xb-{d.digits(12)}-{d.digits(13)}-" + d.of(24), PLACES),
    "Slack webhook": lambda d: (
        f"T{d.of(8, UPPER)}/B{d.of(10, UPPER)}/{d.of(24)}",
        ('URL = "https://hooks.slack' + '.com/services/{}"',),
    ),
    "Discord webhook": lambda d: (
        d.of(68),
        (
            f'hook = "https://discord.com/api/webhooks/{d.digits(19)}' + '/{}"',
            f"https://discordapp.com/api/webhooks/{d.digits(18)}" + "/{}",
        ),
    ),
    "Discord bot token": lambda d: ("M" + d.of(23) + "." + d.of(6) + "." + d.of(27), PLACES),
    "Telegram bot token": lambda d: (d.digits(10) + ":AA" + d.of(33), PLACES),
    "Google API key": lambda d: ("AI" + "za" + "Sy" + d.of(33), PLACES),
    "Google service account": lambda d: (pem(d, "").replace("\n", "\\n") + "\\n", ('"private_key": "{}",',)),
    "Azure storage": lambda d: (
        d.b64(64),
        ('c = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={};EndpointSuffix=core.windows.net"',),
    ),
    "Azure client secret": lambda d: (d.of(3) + "8Q" + "~" + d.of(34), PLACES),
    "Stripe secret key": lambda d: ("sk" + "_live_" + d.of(24), PLACES),
    "Twilio token": lambda d: (d.of(32, HEX), ('TWILIO_AUTH_TOKEN = "{}"', "auth_token: '{}',")),
    "SendGrid key": lambda d: ("S" + "G." + d.of(22) + "." + d.of(43), PLACES),
    "Mailchimp key": lambda d: (d.of(32, HEX) + f"-us{d.rng.randint(1, 21)}", PLACES),
    "npm token": lambda d: ("np" + "m_" + d.of(36), (*PLACES, "//registry.example/:_authToken={}")),
    "PyPI token": lambda d: ("py" + "pi-AgEIcHlwaS5vcmc" + d.url64(100), PLACES),
    "OpenAI key": lambda d: ("s" + "k-proj-" + d.of(74) + "T3Blbk" + "FJ" + d.of(74), PLACES),
    "Anthropic key": lambda d: ("s" + "k-ant-api03-" + d.url64(69) + "AA", PLACES),
    "Hugging Face token": lambda d: ("h" + "f_" + _(d.rng.choice(string.ascii_letters) for _i in range(34)), PLACES),
    "Atlassian token": lambda d: ("AT" + "ATT3xFfGF0" + d.url64(130) + "=" + d.of(8, UPPER), PLACES),
    "Facebook token": lambda d: ("EA" + "AC" + d.of(170), PLACES),
    "UUID-shaped API key": lambda d: (
        d.uuid(),
        (
            'HEROKU_API_KEY = "{}"',
            "OPSGENIE_API_KEY={}",
            "api_key: '{}',",
            '"apiKey": "{}"',
            'String authToken = "{}";',
        ),
    ),
    "Django key": lambda d: (d.choice(("", "django-" + "insecure-")) + d.of(50, DJANGO), ("SECRET_KEY = '{}'",)),
    "password with brackets": lambda d: (
        d.password() + d.choice(("(x9)", "[4k]", "(Q)7")),
        ('password = "{}"', "DB_PASSWORD: '{}'", '"password": "{}",', 'String passwd = "{}";'),
    ),
    "generated password": lambda d: (
        d.word() + d.choice("!@#$%") + d.of(4),
        ('password = "{}"', "$password = '{}';", '"db_password": "{}"', "PASSWORD={}", "<password>{}</password>"),
    ),
    "PEM key": lambda d: (pem(d, d.choice(("RSA ", "EC ", "OPENSSH ", "", "ENCRYPTED "))), ('KEY = """{}"""', "{}")),
    "PEM key without end": lambda d: (pem(d, d.choice(("RSA ", "OPENSSH ", "")), end=False), ('KEY = """{}"""', "{}")),
    "PuTTY key": lambda d: (putty(d), ('PPK = """{}\n"""', "{}\n")),
    "curl -u": lambda d: (
        d.word(),
        (
            "curl -u admin:{} https://ci.acme.dev/job",
            "curl -s --user 'bot:{}' -X POST $URL",
            'subprocess.run(["curl", "-u", "bot:{}", url])',
        ),
    ),
    "mysql -p": lambda d: (
        d.word(),
        ("mysql -u root -p{} -h db.acme.dev app < dump.sql", "mysqldump --single-transaction -uapp -p'{}' app"),
    ),
    "password argument": lambda d: (
        d.word(),
        (
            "wget --user=bot --password={} https://acme.dev/x",
            "sshpass -p '{}' ssh deploy@build.acme.dev",
            "redis-cli -h cache -a {} ping",
            "docker login -u bot -p {} registry.acme.dev",
            "keytool -import -storepass {} -file ca.pem",
        ),
    ),
    ".netrc": lambda d: (
        d.word(),
        ("machine git.acme.dev login deploy password {}", "machine api.acme.dev\n  login bot\n  password {}"),
    ),
    "Docker auth": lambda d: (
        basic(d),
        ('{{"auths": {{"registry.acme.dev": {{"auth": "{}"}}}}}}', '      "auth": "{}"'),
    ),
    "connection string": lambda d: (
        d.word(),
        (
            'c = "Server=db;Database=app;User Id=sa;Password={};Encrypt=True"',
            "jdbc:postgresql://db/app?user=app&password={}",
            '"Driver={{ODBC Driver 18}};Server=db;Uid=sa;Pwd={};"',
        ),
    ),
    "password in an address": lambda d: (
        d.word(),
        (
            "postgres://app:{}@db.acme.dev:5432/app",
            'u = "mongodb+srv://app:{}@cluster0.acme.mongodb.net/x"',
            'BROKER = "amqp://guest1:{}@mq:5672//"',
            "https://bot:{}@git.acme.dev/x.git",
        ),
    ),
    "HTTP header": lambda d: (basic(d), ('"Authorization": "Basic {}"', "-H 'Authorization: Basic {}'")),
    "bearer token": lambda d: (d.url64(30), ('"Authorization": "Bearer {}"', "Authorization: Bearer {}")),
    "JSON web token": lambda d: (jwt(d), PLACES),
}
LOOKALIKES: dict[str, Callable[[Draw], str]] = {
    "UUID of a row": lambda d: d.choice(('id = "{}"', 'request_id: "{}"', '"tokenId": "{}"', 'uuid.UUID("{}")')).format(
        d.uuid()
    ),
    "bcrypt hash": lambda d: d.choice(('password = "{}"', "password_hash: '{}'", '"password": "{}",')).format(
        f"$2{d.choice('aby')}$12${d.of(53)}"
    ),
    "argon2 hash": lambda d: f'password = "$argon2id$v=19$m=65536,t=3,p=4${d.url64(16)}${d.url64(32)}"',
    "PBKDF2 hash": lambda d: f'password = "pbkdf2_sha256$260000${d.of(22)}${d.b64(32)}"',
    "crypt hash": lambda d: d.choice(
        (f"root:$6${d.of(16)}${d.of(86)}:19000:0:99999:7:::", f'"password": "$1${d.of(8)}${d.of(22)}"')
    ),
    "htpasswd line": lambda d: f"admin:$apr1${d.of(8)}${d.of(22)}",
    "name of a type": lambda d: d.choice(
        (
            "password: X509CertificatePasswordV2",
            "token: OAuth2AccessTokenResponseV1",
            "secret: Base64EncodedSha256String",
            "val credential: Credential = Oauth2ClientCredentials2()",
            "private_key: Ed25519PrivateKeyHolder",
            "api_key: Sha256HashedApiKeyV2",
        )
    ),
    "integrity of a lock file": lambda d: f'"integrity": "sha512-{d.b64(64)}"',
    "checksum": lambda d: d.choice(('sha256 = "{}"', "    --hash=sha256:{}", 'checksum = "{}"')).format(d.of(64, HEX)),
    "go.sum": lambda d: f"github.com/acme/tool v1.{d.rng.randint(0, 30)}.0 h1:{d.b64(32)}",
    "commit": lambda d: d.choice(("rev: {}", "uses: actions/checkout@{}", 'COMMIT = "{}"')).format(d.of(40, HEX)),
    "md5": lambda d: d.choice(('etag = "{}"', 'cache_key = "{}"', 'md5 = "{}"')).format(d.of(32, HEX)),
    "image digest": lambda d: f"FROM python:3.12@sha256:{d.of(64, HEX)}",
    "public key": lambda d: f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB{d.b64(180)} ann@acme",
    "public PEM": lambda d: "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----".format(
        "\n".join(d.b64(48) for _i in range(6))
    ),
    "certificate": lambda d: "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----".format(
        "\n".join(d.b64(48) for _i in range(9))
    ),
    "PGP public key": lambda d: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n{}\n-----END PGP PUBLIC KEY BLOCK-----".format(
        "\n".join(d.b64(48) for _i in range(9))
    ),
    "image in base64": lambda d: f'src="data:image/png;base64,{d.b64(120)}"',
    "data of a test": lambda d: d.choice(('expected = b"{}"', 'data = "{}"', 'payload = "{}"')).format(d.b64(40)),
    "hex data": lambda d: d.choice(('iv = bytes.fromhex("{}")', 'nonce = "{}"', 'vector = "{}"')).format(d.of(32, HEX)),
    "colour": lambda d: d.choice(("color: #{};", '--token-color: "#{}";', 'token_color = "#{}"')).format(d.of(6, HEX)),
    "look-up in the environment": lambda d: d.choice(
        (
            'password = os.environ["DB_PASSWORD_1"]',
            "password: process.env.PASSWORD_V2,",
            "API_KEY=$API_KEY_V2",
            "DB_PASSWORD=${DB_PASSWORD1:-}",
            'curl -u "admin:$CI_TOKEN1" $URL',
            'mysql -u root -p"$MYSQL_PWD1" app',
            "curl -u ${USER1}:${PASS1} $URL",
        )
    ),
    "look-up in settings": lambda d: d.choice(
        (
            "api_key = settings.API_KEY_V2",
            "password = config.get('database', 'password2')",
            "token = request.headers['X-Token-1']",
            "$password = $_POST['password1'];",
            "secret = self.secrets[2].value",
        )
    ),
    "template": lambda d: d.choice(
        (
            'password = "{{ vault_db_password2 }}"',
            "password: <%= ENV['DB_PASS1'] %>",
            'token: "${{ secrets.TOKEN_V2 }}"',
            "postgres://${USER}:${PASS1}@db/x",
            'password: "#{node[:db][:pass1]}"',
        )
    ),
    "placeholder": lambda d: d.choice(
        (
            'password = "changeme123456"',
            'api_key = "YOUR_API_KEY_HERE1"',
            'token = "xxxxxxxxxxxxxxxx1"',
            'password = "Password123"',
            'api_key = "00000000-0000-0000-0000-000000000000"',
            "curl -u user:password https://x.dev",
            "mysql -uroot -ppassword1 app",
        )
    ),
    "example of a service": lambda d: d.choice(
        (
            "AKIA" + "IOSFODNN7EXAMPLE",
            'secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
            "https://user:pass@example.com",
        )
    ),
    "regular expression": lambda d: d.choice(
        (
            r'PASSWORD = re.compile(r"^[A-Za-z0-9]{8,}$")',
            r'password_rule = "^(?=.*[A-Z])(?=.*[0-9]).{8,}$"',
            r'token_pattern = "[a-z0-9]{32}(?:-us[0-9]+)?"',
        )
    ),
    "path": lambda d: d.choice(
        (
            'secret = Secret.from_file("/run/secrets/db-pass-1")',
            'private_key = "~/.ssh/id_ed25519_v2"',
            "--password-file /run/secrets/pw1",
            'key_file = "certs/server-2024-05.key"',
        )
    ),
    "address of an endpoint": lambda d: d.choice(
        (
            'token_url = "https://auth.acme.dev/oauth2/v2.0/token"',
            'TOKEN = "urn:ietf:params:oauth:token-type:jwt2"',
            "webhook: https://acme.dev/hooks/v1/build-2024",
        )
    ),
    "name of a secret": lambda d: d.choice(
        (
            'secret_name = "prod-db-credentials-2"',
            'API_KEY_HEADER = "X-Api-Key-2"',
            "secretKeyRef: {name: db-secret-1, key: password2}",
            'passwordKey: "settings.account.password2",',
        )
    ),
    "message": lambda d: d.choice(
        (
            'password_error = "at least 8 characters and 1 digit"',
            "'password.too_short2': 'Too short (min 8)'",
            'raise ValueError("token(s) 2 of 10 expired")',
        )
    ),
    "function call": lambda d: d.choice(
        (
            "password_hash = hash_password(password, rounds=12)",
            "SECRET_KEY = get_random_string(50)",
            'password = decrypt("AES256", blob[16:])',
            "token = generate_token(32)",
            'tokens = tokenize("def f(x1): return x2")',
        )
    ),
    "version": lambda d: d.choice(
        (
            'tokenizer = "GPT2BPETokenizer"',
            'token_version = "v1beta2-2024"',
            'auth_key_type = "ecdsa-sha2-nistp256"',
            'auth_method = "SCRAM-SHA-256"',
        )
    ),
    "number": lambda d: d.choice(
        (
            "token_count=1024",
            "max_tokens: 4096",
            f"password_changed_at = {d.digits(10)}",
            f"secret_version: {d.digits(6)}",
        )
    ),
    "publishable key": lambda d: d.choice(
        ("UA-" + d.digits(8) + "-1", f'gtag("config", "G-{d.of(10, UPPER)}")', f'GTM_ID = "GTM-{d.of(7, UPPER)}"')
    ),
    "address without password": lambda d: d.choice(
        (
            f"https://{d.of(32, HEX)}@o1.ingest.sentry.io/42",
            "ssh://git@github.com:22/acme/tool.git",
            "redis://cache:6379/0",
            "postgres://app@db.acme.dev:5432/app",
        )
    ),
    "resource name": lambda d: d.choice(
        (
            f"arn:aws:iam::{d.digits(12)}:role/deploy-2",
            f"arn:aws:secretsmanager:eu-west-1:{d.digits(12)}:secret:db-{d.of(6)}",
            f"projects/acme-1/secrets/db/versions/{d.rng.randint(1, 9)}",
        )
    ),
    "wallet or block": lambda d: d.choice(
        (f'to = "0x{d.of(40, HEX)}"', f'tx = "0x{d.of(64, HEX)}"', f'block_hash = "{d.of(64, HEX)}"')
    ),
    "class identifier": lambda d: f'[Guid("{d.uuid().upper()}")]',
    "option of a program": lambda d: d.choice(
        (
            "mysql -u root -p app < schema2.sql",
            "sshpass -f pass1.txt ssh host",
            "mkdir -p /opt/app1/data",
            "ssh -p2222 deploy@host1",
            "docker run -p 8080:80 web1",
            "curl -u : --negotiate $URL",
            "unzip -P archive.zip",
            "git add -p src/v2/main.py",
            "tar -pxzf release-1.2.tgz",
        )
    ),
}
