"""The written forms of credentials: tokens of services, private keys, webhooks, and passwords on command lines.

Each form is (kind, strings of which a text with such a credential contains one, pattern). The group `value` of a
pattern is what is replaced; without such a group it is the whole match. All searches take time linear in the length of
the text: a pattern starts only at the beginning of a run of characters, or the run has a bounded length.
"""

from __future__ import annotations

import re

_B64 = "A-Za-z0-9_-"
#: A token begins here, and not inside a run of its characters: else the search would start at each of them again.
_NEW = rf"(?<![{_B64}])"
_END = r"(?![A-Za-z0-9])"
_BEGIN_KEY = r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
_GAP = r"""(?:\\[rn]|[\s"'+,;()\\])"""  # between the lines of a key, also where they are strings of a program

_TOKENS = (
    ("private_key", "PRIVATE KEY", rf"{_BEGIN_KEY}(?P<value>(?:[^-]|-(?!----)){{40,20000}}+)-----END"),
    ("private_key", "PRIVATE KEY",  # the end is missing
     rf"{_BEGIN_KEY}(?P<value>(?:{_GAP}{{0,40}}+[A-Za-z0-9+/=]{{24,8000}}+){{1,200}}+"
     rf"(?:{_GAP}{{1,40}}+[A-Za-z0-9+/]{{1,23}}=)?)"),
    ("private_key", "Private-Lines:",  # PuTTY
     rf"Private-Lines: ?[0-9]{{1,3}}(?P<value>(?:{_GAP}{{1,12}}+(?!Private-)[A-Za-z0-9+/=]{{4,80}}+){{1,100}}+)"),
    ("private_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    ("aws_key", ("AKIA", "ASIA", "AROA", "AIDA"),
     r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("github_token", "gh", r"gh[pousr]_(?<![A-Za-z0-9]gh._)[A-Za-z0-9]{36,251}(?![A-Za-z0-9])"),
    ("github_token", "github_pat_", rf"{_NEW}github_pat_[A-Za-z0-9_]{{60,100}}"),
    ("gitlab_token", "gl", rf"gl(?<![{_B64}]gl)(?:pat|dt|rt|cbt|ptt|ft|imt|soat|agent|oas)-[{_B64}]{{20,64}}"),
    ("slack_token", "xox", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    ("slack_token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,250}"),
    ("slack_webhook", "hooks.slack.com/",
     r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<value>[A-Za-z0-9/]{30,120})"),
    ("webhook", ("discord.com/api/", "discordapp.com/api/"),
     rf"discord(?:app)?\.com/api/(?:v[0-9]{{1,2}}/)?webhooks/[0-9]{{15,21}}/(?P<value>[{_B64}]{{40,100}})"),
    ("webhook", "webhook",  # Teams
     r"office(?:365)?\.com/webhook(?:b2)?/(?P<value>[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[A-Za-z0-9/-]{32,120})"),
    ("webhook", "hooks.zapier.com/", r"hooks\.zapier\.com/hooks/catch/(?P<value>[0-9]{4,12}/[A-Za-z0-9]{5,20})"),
    ("webhook", "maker.ifttt.com/",
     rf"maker\.ifttt\.com/trigger/[^/\s]{{1,60}}/(?:json/)?with/key/(?P<value>[{_B64}]{{20,60}})"),
    ("webhook", ("/bot/v2/hook/", "webhook/send?key="),  # Feishu, WeCom
     r"(?:/bot/v2/hook/|webhook/send\?key=)(?P<value>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"),
    ("discord_token", "", rf"{_NEW}[MNO][A-Za-z0-9]{{23,25}}\.[{_B64}]{{6}}\.[{_B64}]{{27,38}}(?![{_B64}])"),
    ("telegram_token", ":AA", rf"(?<![0-9A-Za-z])[0-9]{{8,10}}:AA[{_B64}]{{33}}(?![{_B64}])"),
    ("google_key", "AIza", rf"(?<![A-Za-z0-9])AIza[{_B64}]{{35}}(?![{_B64}])"),
    ("google_key", "GOCSPX-", rf"{_NEW}GOCSPX-[{_B64}]{{28}}(?![{_B64}])"),
    ("google_key", "ya29.", rf"{_NEW}ya29\.[{_B64}]{{40,400}}"),
    ("google_key", ":APA91b", rf"{_NEW}AAAA[{_B64}]{{7}}:APA91b[{_B64}]{{100,200}}"),
    ("azure_key", "AccountKey=", r"AccountKey=(?P<value>[A-Za-z0-9+/]{86}==)"),
    ("azure_key", "Q~", rf"(?<![~.{_B64}])[~.{_B64}]{{3}}[0-9]Q~[~.{_B64}]{{31,34}}(?![~.{_B64}])"),
    ("azure_key", "sig=", r"[?&;]sig=(?P<value>[A-Za-z0-9%+/]{40,64}(?:%3[Dd]|=))"),
    ("stripe_key", "_live_", r"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{16,128}"),
    ("stripe_key", "whsec_", r"(?<![A-Za-z0-9_])whsec_[A-Za-z0-9+/]{32,64}"),
    ("twilio_key", "SK", r"SK(?<![A-Za-z0-9_]SK)[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("sendgrid_key", "SG.", rf"(?<![A-Za-z0-9])SG\.[{_B64}]{{22}}\.[{_B64}]{{43}}"),
    ("mailgun_key", "key-", r"(?<![A-Za-z0-9_-])key-[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("mailchimp_key", "-us", r"(?<![A-Za-z0-9])[0-9a-f]{32}-us[0-9]{1,2}(?![A-Za-z0-9])"),
    ("npm_token", "npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("npm_token", "_authToken=", rf"_authToken=(?P<value>[{_B64}]{{32,100}})"),
    ("pypi_token", "pypi-", rf"pypi-AgEIcHlwaS5vcmc[{_B64}]{{50,500}}"),
    ("huggingface_token", "hf_", r"(?<![A-Za-z0-9_])hf_[A-Za-z]{34}(?![A-Za-z0-9])"),
    ("openai_key", "sk-", rf"{_NEW}sk-(?:proj-|ant-|svcacct-)?[{_B64}]{{40,200}}"),
    ("atlassian_token", ("ATATT", "ATCTT", "ATBB"),
     rf"{_NEW}(?:AT[AC]TT[A-Za-z0-9+/=_-]{{40,400}}|ATBB[A-Za-z0-9]{{32}}{_END})"),
    ("facebook_token", "EAA", rf"(?<![A-Za-z0-9])EAA[A-Z][A-Za-z0-9]{{40,400}}{_END}"),
    ("dropbox_token", "sl.", rf"(?<![.{_B64}])sl\.(?:u\.)?[{_B64}]{{100,1500}}"),
    ("terraform_token", ".atlasv1.", rf"{_NEW}[A-Za-z0-9]{{14}}\.atlasv1\.[={_B64}]{{60,70}}"),
    ("airtable_token", "pat", rf"pat(?<![A-Za-z0-9]pat)[A-Za-z0-9]{{14}}\.[0-9a-f]{{64}}{_END}"),
    ("dynatrace_token", "dt0", rf"(?<![A-Za-z0-9])dt0[a-z][0-9]{{2}}\.[A-Z0-9]{{24}}\.[A-Z0-9]{{64}}{_END}"),
    ("amazon_mws_key", "amzn.mws.", r"amzn\.mws\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("jwt", "eyJ", rf"{_NEW}eyJ[{_B64}]{{10,1000}}\.eyJ[{_B64}]{{10,2000}}\.[{_B64}]{{16,1000}}"),
    ("authorization", ("Basic ", "Bearer ", "Token ", "SSWS ", "GenieKey "),
     r"\b(?:Basic|Bearer|Token|SSWS|GenieKey)[ \t]{1,4}(?P<value>[A-Za-z0-9+/_.~-]{16,400}={0,2})(?![A-Za-z0-9])"),
    ("url_password", "://",
     r"(?<![a-z0-9+])[a-z][a-z0-9+]{1,20}://(?P<user>[A-Za-z0-9._%+-]{0,64}):"
     r"(?P<value>[^\s:@/\"'`<>%{}()][^\s:@/\"'`<>{}()]{5,99})@[A-Za-z0-9]"),
    ("django_key", "django-insecure-", r"django-insecure-(?P<value>[^\s\"'`\\]{30,64})(?=[\"'`\s]|$)"),
)  # fmt: skip

#: Tokens of services that begin with a word of their own: (beginning, what follows it).
_BY_BEGINNING = (
    ("dop_v1_", "[0-9a-f]{64}"), ("doo_v1_", "[0-9a-f]{64}"), ("dor_v1_", "[0-9a-f]{64}"),  # DigitalOcean
    ("shpat_", "[0-9a-fA-F]{32}"), ("shpca_", "[0-9a-fA-F]{32}"), ("shppa_", "[0-9a-fA-F]{32}"),  # Shopify
    ("shpss_", "[0-9a-fA-F]{32}"), ("dapi", "[0-9a-f]{32}"),  # Databricks
    ("dckr_pat_", "[A-Za-z0-9_-]{27}"), ("dckr_oat_", "[A-Za-z0-9_-]{27,32}"), ("gsk_", "[A-Za-z0-9]{52}"),  # Groq
    ("sq0csp-", "[A-Za-z0-9_-]{22,43}"), ("sq0atp-", "[A-Za-z0-9_-]{22,43}"),  # Square
    ("hvs.", "[A-Za-z0-9_-]{24,200}"), ("glsa_", "[A-Za-z0-9_=-]{32,200}"), ("glc_", "[A-Za-z0-9_=-]{32,200}"),
    ("lin_api_", "[A-Za-z0-9]{40}"), ("NRAK-", "[A-Z0-9]{27}"), ("rubygems_", "[0-9a-f]{48}"), ("sbp_", "[0-9a-f]{40}"),
    ("dp.pt.", "[A-Za-z0-9]{40,44}"), ("dp.st.", "[A-Za-z0-9._-]{40,64}"), ("pscale_tkn_", "[A-Za-z0-9_.-]{32,64}"),
    ("pscale_pw_", "[A-Za-z0-9_.-]{32,64}"), ("AKCp", "[0-9A-Za-z]{60,75}"),  # Artifactory
    ("figd_", "[A-Za-z0-9_-]{38,48}"), ("PMAK-", "[0-9a-f]{24}-[0-9a-f]{34}"), ("pul-", "[0-9a-f]{40}"),  # Pulumi
    ("sntrys_", "[A-Za-z0-9+/=_]{60,300}"), ("sntryu_", "[0-9a-f]{64}"), ("r8_", "[A-Za-z0-9]{37}"),  # Replicate
    ("xai-", "[A-Za-z0-9]{70,90}"), ("pplx-", "[A-Za-z0-9]{40,60}"), ("nfp_", "[A-Za-z0-9]{36}"),  # Netlify
    ("tskey-", "[a-z]{2,12}-[A-Za-z0-9]{8,24}-[A-Za-z0-9]{20,50}"), ("xkeysib-", "[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    ("rzp_live_", "[A-Za-z0-9]{14}"), ("CFPAT-", "[A-Za-z0-9_-]{43}"), ("shippo_live_", "[0-9a-f]{40}"),
    ("EZAK", "[A-Za-z0-9]{54}"), ("squ_", "[0-9a-f]{40}"), ("sqp_", "[0-9a-f]{40}"), ("sqa_", "[0-9a-f]{40}"),  # Sonar
    ("bkua_", "[0-9a-f]{40}"), ("CLOJARS_", "[a-z0-9]{60}"), ("oy2", "[a-z0-9]{43}"), ("LTAI", "[A-Za-z0-9]{12,20}"),
    ("HRKU-", "[A-Za-z0-9_-]{36,64}"), ("secret_", "[A-Za-z0-9]{43}"), ("ntn_", "[A-Za-z0-9]{40,60}"),  # Notion
    ("CCIPAT_", "[A-Za-z0-9]{22}_[0-9a-f]{40}"), ("rdme_", "[a-z0-9]{70}"), ("tfp_", "[A-Za-z0-9_-]{40,60}"),
    ("sgp_", "[A-Za-z0-9]{64}"), ("lsv2_", "(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),  # LangSmith
    ("re_", "[A-Za-z0-9]{8}_[A-Za-z0-9]{24}"),  # Resend
)  # fmt: skip

_WORD = r"""["']?(?P<value>[^\s"'`|<>]{6,100})"""  # one word of a command line
_ARGUMENT = r"""[^\n|]{0,200}?[\s"',]"""  # what stands between a command and one of its options
#: Passwords that programs take as an argument, or read from a file. `_is_typed` decides about the value.
_TYPED = (
    ("curl", rf"\bcurl\b{_ARGUMENT}(?:-u|-U|--user|--proxy-user)(?:[ =]|[\"'], ?)?[\"']?[^\s:\"']{{1,64}}:"
             r"(?P<value>[^\s\"'`|<>]{6,100})"),
    (("mysql", "mariadb", "mycli"), rf"\b(?:mysql\w{{0,12}}|mariadb[\w-]{{0,12}}|mycli){_ARGUMENT}"
           r"-p[\"']?(?P<value>[^\s\"'`|<>-][^\s\"'`|<>]{5,63})"),
    (("sshpass", "mongo", " login", "clickhouse-client", "cqlsh"),
     rf"\b(?:sshpass|mongo(?:sh|dump|restore|export|import)?|docker login|podman login|"
           rf"helm registry login|oc login|"
           rf"az login|clickhouse-client|cqlsh)"
           rf"{_ARGUMENT}-p[ =]?{_WORD}"),
    ("redis-cli", rf"\bredis-cli\b{_ARGUMENT}-a {_WORD}"),
    ("ldap",
     rf"\bldap(?:search|modify|add|delete|passwd|whoami)\b{_ARGUMENT}-w ?{_WORD}"),
    (" -P",
     rf"\b(?:sqlcmd|bcp|isql|tsql|zip|unzip|sqlplus|ipmitool){_ARGUMENT}-P ?{_WORD}"),
    (" -U",
     rf"\b(?:smbclient|rpcclient|net rpc){_ARGUMENT}-U ?[\"']?[^\s%\"']{{1,64}}%"
           r"(?P<value>[^\s\"'`|<>]{6,100})"),
    ("htpasswd", rf"\bhtpasswd -[a-zA-Z]{{0,6}}b[a-zA-Z]{{0,6}} (?:\S{{1,200}} )?[^\s-]\S{{0,63}} {_WORD}"),
    ("pass:", r"-pass(?:in|out)? [\"']?pass:(?P<value>[^\s\"'`|<>]{6,100})"),
    ("chpasswd", r"echo [\"']?[a-z_][\w-]{0,31}:(?P<value>[^\s\"'`|<>]{6,100})[\"']?[ ]?\|[ ]?(?:sudo )?chpasswd"),
    (("-pass", "-storepass", "-keypass"),
     r"(?<![\w-])--?(?:pass|passwd|passphrase|storepass|keypass|[a-z]{1,16}-pass(?:word)?|password)[ =]"
     rf"{_WORD}"),
    ("ConvertTo-SecureString", rf"ConvertTo-SecureString (?:-String )?{_WORD}"),
    ("net use", rf"\bnet use\b{_ARGUMENT}/user:\S{{1,100}} {_WORD}"),
    (("login", "LOGIN"), r"(?i:\blogin\s{1,20}\S{1,100}\s{1,20}password\s{1,20})(?P<value>[^\s\"'`]{6,100})"),  # .netrc
    ("http ", r"\bhttp (?:-a|--auth)[ =][\"']?[^\s:\"']{1,64}:(?P<value>[^\s\"'`|<>]{6,100})"),
    ("mysqladmin", rf"\bmysqladmin\b{_ARGUMENT}password {_WORD}"),
    ("ENV ", r"(?m)^[ \t]*ENV \w{0,40}(?:PASS|PASSWORD|PASSWD|PWD|SECRET|TOKEN|KEY)[ =](?P<value>[^\s\"'`]{6,100})$"),
    (("auth=(", "BasicAuth(", ".login("),
     r"(?:auth=|BasicAuth|\.login)\([ ]?[\"'][^\"'\s]{1,64}[\"'], ?[\"'](?P<value>[^\s\"']{6,100})[\"']"),
    (("IDENTIFIED", "identified"),
     r"(?i:\bidentified (?:with [\w']{1,40} )?by (?:password )?)['\"](?P<value>[^\s'\"]{6,100})['\"]"),
    (("WITH PASSWORD", "with password", "ENCRYPTED PASSWORD", "SET PASSWORD"),
     r"(?i:\b(?:with|encrypted|set) password (?:= ?|for \S{1,60} = )?)['\"](?P<value>[^\s'\"]{6,100})['\"]"),
    (("Password=", "Pwd=", "password=", "PWD=", "pwd="),
     r"(?i:[;\"'?&]\s?(?:password|pwd)\s?=\s?)(?P<value>[^;&\"'\s`<>]{6,100})(?=[;&\"'\s]|$)"),  # connection strings
    ((":5432:", ":*:"),
     r"(?m)^[\w*-][\w.*-]{0,100}:(?:[0-9]{2,5}|\*):[\w*-]{1,63}:[\w*-]{1,63}:(?P<value>\S{6,100})$"),  # .pgpass
    ("/p:", rf"\b(?:xfreerdp|mstsc|msbuild|runas)\b{_ARGUMENT}/p:{_WORD}"),
)  # fmt: skip
#: Lines of shells and of properties: DB_PASSWORD=k3(w#v)x, signing.keyPassword=k3X9wVq2.
_LINES = (
    (("PASS", "PWD", "assword="),
     r"(?m)^[ \t]*(?:export |- |set )?[A-Za-z0-9_.]{0,60}(?:PASSWORD|PASSWD|PASS|PWD|[Pp]assword)="
     r"(?P<value>[^\s\"'`$,;]{8,100})(?=[ \t]|$)"),
)  # fmt: skip
#: Base64 of user:password.
_BASIC = (
    ('"auth"', r"[\"']auth[\"']\s{0,4}:\s{0,4}[\"'](?P<value>[A-Za-z0-9+/]{12,400}={0,2})[\"']"),  # Docker
    ("_auth", r"(?<![A-Za-z])_auth ?= ?[\"']?(?P<value>[A-Za-z0-9+/]{12,400}={0,2})"),  # npm
    ("_password", r":_password ?= ?[\"']?(?P<value>[A-Za-z0-9+/]{12,400}={0,2})"),
    ("Basic ", r"\bBasic (?P<value>[A-Za-z0-9+/]{12,400}={0,2})(?![A-Za-z0-9+/=])"),
)

#: Every form as (kind, strings of which a text contains one, compiled pattern).
FORMS = tuple(
    (kind, (needles,) if isinstance(needles, str) else needles, re.compile(pattern))
    for kind, needles, pattern in (
        *_TOKENS,
        *(
            ("service_token", begin, rf"{re.escape(begin)}(?<![{_B64}]{re.escape(begin)})(?:{rest}){_END}")
            for begin, rest in _BY_BEGINNING
        ),
        *(("typed_password", needles, pattern) for needles, pattern in _TYPED),
        *(("assigned", needles, pattern) for needles, pattern in _LINES),
        *(("basic_auth", needles, pattern) for needles, pattern in _BASIC),
    )
)
