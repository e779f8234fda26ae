"""Random credentials, and values that only look like credentials, made at run time: this file contains no credentials.

`planted` returns {kind: [(line of code, credential that must be replaced)]}, `lookalikes` {kind: [line that stays]}.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid

ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
#: Lines that hold a token as it is: Python, YAML, shell, JavaScript, a comment.
ANYWHERE = ('x = "{}"', "  key: {}", "export X={}", "const t = '{}';", "# {}")
ASSIGNED = (
    'password = "{}"', '"password": "{}",', 'password: "{}"', 'String apiKey = "{}";', "$password = '{}';",
    "'secret' => '{}',", 'private static final String SECRET = "{}";', 'api-key: "{}"', 'DB_PASS = "{}"', 'pwd="{}"',
    "<password>{}</password>", 'config["password"] = "{}"', 'let token: string = "{}"', "password := `{}`",
    '#define API_SECRET "{}"', 'set password "{}"', 'if (password == "{}") {{', 'login(password="{}")',
)  # fmt: skip
ENVIRONMENT = (
    "DB_PASSWORD={}",
    "SECRET_KEY={}",
    'API_KEY="{}"',
    "export ADMIN_PASSWORD='{}'",
    "PASSWD: {}",
    "redis_password = {}",
)


def drawn(rng: random.Random, length: int, alphabet: str = ALNUM) -> str:
    """A value with at least one digit and one letter; of both cases where the alphabet has them."""
    while True:
        value = "".join(rng.choice(alphabet) for _ in range(length))
        if any(map(str.isdigit, value)) and len({c.isupper() for c in value if c.isalpha()}) == (
            2 if alphabet == ALNUM else 1
        ):
            return value


def encoded(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


def key(rng: random.Random, name: str, lines: int = 12, head: str = "") -> str:
    body = "\n".join(encoded(rng, 48) for _ in range(lines))
    return f"-----BEGIN {name}PRIVATE" + f" KEY-----\n{head}{body}\n-----END {name}PRIVATE" + " KEY-----"


def jwt(rng: random.Random) -> str:
    def part(data: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    signature = base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("=")
    return ".".join([part({"alg": "HS256", "typ": "JWT"}), part({"sub": drawn(rng, 10), "iat": 1}), signature])


def planted(seed: int) -> dict[str, list[tuple[str, str]]]:
    rng, found = random.Random(seed), {}

    def add(kind: str, value: str, *lines: str) -> None:
        for line in lines or ANYWHERE:
            found.setdefault(kind, []).append((line.format(value), value))

    def of(length: int, alphabet: str = ALNUM) -> str:
        return drawn(rng, length, alphabet)

    def digits(length: int) -> str:
        return str(rng.randint(10 ** (length - 1), 10**length - 1))

    add("aws key", "AK" + "IA" + of(16, UPPER))
    add(
        "aws secret",
        encoded(rng, 30),
        'aws_secret_access_key = "{}"',
        "AWS_SECRET_ACCESS_KEY={}",
        "aws_secret_access_key = {}",
        '<add key="AWSSecretKey" value="{}"/>',
    )
    add("gcp", "AI" + "za" + of(35))
    add("gcp", "GOC" + "SPX-" + of(28))
    add("gcp", key(rng, "").replace("\n", "\\n"), '{{"private_key": "{}"}}')
    add("azure", encoded(rng, 64), 'c = "AccountName=x;AccountKey={};EndpointSuffix=core.windows.net"')
    add("azure", of(3) + "8Q" + "~" + of(34))
    add(
        "azure",
        encoded(rng, 32).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "https://x.blob.core.windows.net/c?sv=2020&sig={}",
    )
    for letter in "pousr":
        add("github", f"gh{letter}" + "_" + of(36))
    add("github", "github" + "_pat_" + of(22) + "_" + of(59))
    for what in ("pat", "dt", "rt"):
        add("gitlab", f"gl{what}" + "-" + of(20))
    add("slack", "xo" + f"xb-{digits(12)}-{digits(12)}-" + of(24))
    add("slack", f"T{of(8, UPPER)}/B{of(8, UPPER)}/{of(24)}", 'u = "https://hooks.slack.com/services/{}"')
    add("stripe", "sk" + "_live_" + of(24))
    add("stripe", "rk" + "_live_" + of(99))
    add("twilio", "S" + "K" + of(32, HEX))
    add("twilio", of(32, HEX), "TWILIO_AUTH_TOKEN={}", 'auth_token = "{}"')
    add("npm", "np" + "m_" + of(36))
    add("npm", str(uuid.UUID(int=rng.getrandbits(128))), "//npm.acme.dev/:_authToken={}")
    add("pypi", "py" + "pi-AgEIcHlwaS5vcmc" + of(80))
    add("openai", "s" + "k-" + of(48))
    add("openai", "s" + "k-proj-" + of(60) + "_" + of(60))
    add("huggingface", "h" + "f_" + "".join(rng.choice(string.ascii_letters) for _ in range(34)))
    for value in (
        "S" + "G." + of(22) + "." + of(43),
        "key" + "-" + of(32, HEX),
        "do" + "p_v1_" + of(64, HEX),
        "sh" + "pat_" + of(32, HEX),
        "sq" + "0csp-" + of(43),
        "dc" + "kr_pat_" + of(27),
        "M" + of(23) + "." + of(6) + "." + of(27),
        digits(9) + ":AA" + of(33),
    ):
        add("others", value)
    for name in ("RSA ", "EC ", "DSA ", "OPENSSH ", "", "ENCRYPTED "):
        add("private key", key(rng, name), 'K = """{}"""\n', "{}\n")
    add(
        "private key", key(rng, "RSA ", head=f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{of(32, HEX)}\n\n"), "{}\n"
    )
    add("private key", key(rng, "EC ", lines=3), 'K = """{}"""\n')
    add("private key", key(rng, "PGP ").replace(" KEY-----", " KEY BLOCK-----"), "{}\n")
    split = key(rng, "RSA ")
    found["private key"].append(('K = ("' + split.replace("\n", '\\n"\n     "') + '")\n', split.split("\n")[3]))
    add("jwt", jwt(rng))
    for scheme in ("postgres", "postgresql+psycopg2", "mysql", "mongodb+srv", "amqp", "https"):
        add("address", of(14), f'u = "{scheme}://app:{{}}@db.internal:5432/x"')
    add("address", f"p{of(3)}$s!w{of(4)}", "DATABASE_URL=postgres://u:{}@10.0.0.5/x")
    add(
        "address",
        of(16),
        'r = "redis://:{}@cache.internal:6379/0"',
        "jdbc:mysql://h/db?user=a&password={}",
        '"Server=db;Database=x;User Id=sa;Password={};"',
        "curl https://bob:{}@api.internal/x",
    )
    add("header", base64.b64encode(f"bob:{of(12)}".encode()).decode(), 'h = {{"Authorization": "Basic {}"}}')
    add("header", of(40), "Authorization: Bearer {}", 'h = {{"Authorization": "Bearer {}"}}')
    add("environment", of(20), *ENVIRONMENT)
    for value in (of(24), of(32, HEX), encoded(rng, 24)):
        add("assigned", value, *ASSIGNED)
    add("assigned", f"{of(6)}#{of(5)}!{of(4)}$", *ASSIGNED)
    add("thought up", "Tr0ub4dor&3!", 'password = "{}"', '"db_password": "{}"', "pwd: '{}'")
    return found


def lookalikes(seed: int) -> dict[str, list[str]]:
    rng = random.Random(seed)

    def of(length: int, alphabet: str = ALNUM) -> str:
        return drawn(rng, length, alphabet)

    def block(name: str) -> str:
        lines = "\n".join(encoded(rng, 48) for _ in range(8))
        return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----"

    some = uuid.UUID(int=rng.getrandbits(128))
    return {
        "lock file": [
            f'"integrity": "sha512-{encoded(rng, 64)}"',
            f'sha256 = "{of(64, HEX)}"',
            f"    --hash=sha256:{of(64, HEX)}",
            f'checksum = "{of(64, HEX)}"',
            f"github.com/x/y v1.0.0 h1:{encoded(rng, 32)}",
        ],
        "uuid": [f'id = "{some}"', f'KEY = uuid.UUID("{some}")', f'"tokenId": "{some}"'],
        "data": [
            f'data = "{encoded(rng, 60)}"',
            f'src="data:image/png;base64,{encoded(rng, 90)}"',
            f'expected = b"{encoded(rng, 33)}"',
        ],
        "commit": [f"rev: {of(40, HEX)}", f"uses: actions/checkout@{of(40, HEX)}", f'"sha": "{of(40, HEX)}"'],
        "public key": [
            f"ssh-rsa AAAAB3NzaC1yc2E{encoded(rng, 200)}",
            block("PUBLIC KEY"),
            block("CERTIFICATE"),
            block("PGP PUBLIC KEY BLOCK"),
            f'public_key = "{of(44)}"',
            f'<assembly publicKeyToken="{of(16, HEX)}"/>',
        ],
        "colour": ["color: #a1b2c3;", '--token-color: "#1f2e3d4c";', 'token_color = "#a1b2c3d4e5f6"'],
        "checksum": [f'md5_key_hash = "{of(32, HEX)}"', f'etag = "{of(32, HEX)}"', f'cache_key = "{of(32, HEX)}"'],
        "code": [
            "password = getpass()",
            'password = os.environ["DB_PASSWORD_1"]',
            "password: process.env.PASSWORD_V2,",
            "password = config.get('database', 'password2')",
            "self.password = password",
            "api_key = settings.API_KEY_V2",
            'secret = Secret.from_file("/run/secrets/db-pass-1")',
            'PASSWORD = re.compile(r"^[A-Za-z0-9]{8,}$")',
            'secret_name = "prod-db-credentials-2"',
            'token_url = "https://auth.internal/oauth2/v2.0/token"',
            'tokenizer = "GPT2BPETokenizer"',
            'API_KEY_HEADER = "X-Api-Key-2"',
            'password = "${DB_PASSWORD_V2}"',
            'password = "{{ vault_db_password2 }}"',
            "API_KEY=$API_KEY_V2",
            "DB_PASSWORD=${DB_PASSWORD1:-}",
            "password_hash = hash_password(password, rounds=12)",
            "token_count=1024",
            "$password = $_POST['password1'];",
            'passwordKey: "settings.account.password2",',
            'TOKEN = "urn:ietf:params:oauth:token-type:jwt2"',
            "SECRET_KEY = get_random_string(50)",
            'tokens = tokenize("def f(x1): return x2")',
            'credentials = "include"',
            'key_name = "ssh-key-2021-05-17"',
            'password = "$PASSWORD1"',
            'password = "#password-1"',
        ],
        "placeholder": [
            'password = "changeme123456"',
            'api_key = "YOUR_API_KEY_HERE1"',
            "AKIA" + "IOSFODNN7EXAMPLE",
            'token = "xxxxxxxxxxxxxxxx1"',
            "postgres://user:password@localhost/db",
            "https://user:pass@example.com",
            "mysql://root:${PASS}@db/x",
            "https://user:{password}@host/x",
            "smb://me:mypassword@server/share",
            "mongodb://<user>:<password>@host",
            'password = "Password123"',
        ],
    }
