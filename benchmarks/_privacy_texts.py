"""Texts for `privacy`: sentences of the sample in 16 languages with planted personal data and with harmless numbers.

Telephone numbers are libphonenumber's example numbers with other last digits; card numbers have the ranges and check
digits of their networks, IBANs those of the IBAN registry; addresses have the documented forms. Nothing here is
imported from the rules that are measured.
"""

from __future__ import annotations

import gzip
import hashlib
import ipaddress
import json
import random
import re
import string
import unicodedata
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path(__file__).resolve().parent.parent / "nemotron_assets" / "sample"
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "ru", "sv", "da", "ja", "ko", "zh", "th", "ar")
UNSPACED = ("ja", "zh", "th")
OTHER_SCRIPTS = ("ru", "ja", "ko", "zh", "th", "ar")
#: Countries by the language of the text around their national numbers.
COUNTRIES = {
    "en": "US CA GB IE AU NZ ZA IN SG PH NG KE HK MY PK IL GR TR CZ HU RO FI NO", "de": "DE AT CH LU",
    "fr": "FR BE CH MA SN", "es": "ES MX AR CO CL PE UY EC", "it": "IT CH", "nl": "NL BE", "pl": "PL",
    "pt": "PT BR AO", "ru": "RU KZ BY UA", "sv": "SE FI", "da": "DK", "ja": "JP", "ko": "KR", "zh": "CN TW HK",
    "th": "TH", "ar": "SA EG AE JO KW MA",
}  # fmt: skip
#: How a text of the language leads to a telephone number.
CALLS = {
    "en": ("Tel: {}", "Phone: {}", "phone number {}", "Call us at {}", "fax {}", "call {}", "Mobile: {}"),
    "de": ("Tel.: {}", "Telefon: {}", "rufen Sie uns an: {}", "Fax {}", "Handy {}", "unter der Rufnummer {}"),
    "fr": ("Tél. : {}", "Téléphone : {}", "appelez le {}", "Fax : {}", "tél {}", "joignable au {}"),
    "es": ("Tel. {}", "Teléfono: {}", "llame al {}", "móvil {}", "Fax: {}", "celular: {}"),
    "it": ("Tel. {}", "Telefono: {}", "chiamare il {}", "cellulare {}", "Fax: {}"),
    "nl": ("Tel. {}", "Telefoon: {}", "bel {}", "mobiel: {}", "telefoonnummer {}"),
    "pl": ("tel. {}", "Telefon: {}", "zadzwoń pod numer {}", "faks {}", "tel. kom. {}"),
    "pt": ("Tel.: {}", "Telefone: {}", "ligue para {}", "telemóvel {}", "Fax: {}"),
    "ru": ("тел. {}", "Телефон: {}", "звоните по телефону {}", "факс: {}", "моб. {}"),
    "sv": ("Tel: {}", "Telefon: {}", "ring {}", "mobil {}", "telefonnummer {}"),
    "da": ("Tlf. {}", "Telefon: {}", "ring på {}", "mobil: {}", "tlf: {}"),
    "ja": ("電話：{}", "電話番号は{}", "TEL {}", "携帯{}", "FAX：{}"),
    "ko": ("전화 {}", "연락처: {}", "전화번호는 {}", "휴대폰 {}", "팩스: {}"),
    "zh": ("电话：{}", "联系电话{}", "手机：{}", "傳真：{}", "请致电{}"),
    "th": ("โทร {}", "โทรศัพท์ {}", "เบอร์โทร {}", "โทร.{}", "แฟกซ์ {}"),
    "ar": ("هاتف: {}", "جوال: {}", "رقم الهاتف {}", "فاكس: {}", "اتصل على {}"),
}  # fmt: skip
#: The words for "version", "order no." and "year" of a language.
WORDS = {
    "en": ("version", "Order no.", "in"), "de": ("Version", "Bestellnummer", "im Jahr"),
    "fr": ("version", "commande n°", "en"), "es": ("versión", "pedido n.º", "en"),
    "it": ("versione", "ordine n.", "nel"), "nl": ("versie", "bestelnummer", "in"),
    "pl": ("wersja", "zamówienie nr", "w roku"), "pt": ("versão", "pedido nº", "em"),
    "ru": ("версия", "заказ №", "в"), "sv": ("version", "ordernummer", "år"),
    "da": ("version", "ordrenummer", "i"), "ja": ("バージョン", "注文番号", "西暦"), "ko": ("버전", "주문번호", "서기"),
    "zh": ("版本", "订单号", "公元"), "th": ("เวอร์ชัน", "เลขที่คำสั่งซื้อ", "ปี"),
    "ar": ("الإصدار", "رقم الطلب", "عام"),
}  # fmt: skip
#: Numbers that regulators keep for films and books, by country code: they belong to nobody.
FICTION = {44: ("1632960", "2079460", "7700900", "1214960", "1134960", "1614960"), 61: ("255501", "491570"),
           33: ("199001", "639980"), 49: ("3023125", "1713920")}  # fmt: skip
BRACKETS = ("{}[at]{}", "{} [at] {}", "{}(at){}", "{} (at) {}", "{} {{at}} {}")
NAMES = (
    "jane.roe", "j.smith", "anna.meier", "luis_garcia", "mchen", "sato.k", "petrov", "info-desk", "sales", "k99",
    "o.brien", "olga+news",
)  # fmt: skip
HOSTS = (
    "acme", "lakeside-uni", "northwind", "blue-harbour", "kontor", "maison-verte", "mercado", "hotel24", "studio7",
)  # fmt: skip
ENDINGS = (
    "com", "org", "net", "de", "fr", "es", "it", "nl", "pl", "pt", "ru", "se", "dk", "jp", "co.jp", "co.kr", "kr",
    "cn", "com.cn", "co.th", "sa", "co.uk", "com.br", "io", "eu", "info", "edu",
)  # fmt: skip
#: {country: form of the account number after the check digits}, from the IBAN registry: n digit, a capital, c either.
IBANS = {
    "DE": "18n", "GB": "4a14n", "FR": "10n11c2n", "ES": "20n", "IT": "1a10n12c", "NL": "4a10n", "PL": "24n",
    "PT": "21n", "SE": "20n", "DK": "14n", "AT": "16n", "BE": "12n", "CH": "5n12c", "NO": "11n", "FI": "14n",
    "IE": "4a14n", "SA": "2n18c", "AE": "19n", "TR": "5n1n16c", "GR": "7n16c", "CZ": "20n", "HU": "24n",
    "RO": "4a16c",
}  # fmt: skip
#: (start, length) of the card numbers of networks.
CARDS = (("4", 16), ("51", 16), ("55", 16), ("2223", 16), ("34", 15), ("37", 15), ("6011", 16), ("65", 16), ("36", 14),
         ("3530", 16), ("62", 16))  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A text. `kind` and `value` say which personal data stands in it; kind is None for a harmless text. `form` says
    how it is written, or what harmless number stands there."""

    text: str
    language: str
    kind: str | None
    value: str
    form: str


def sentences() -> dict[str, list[str]]:
    """{language: sentences of the sample without digits and without @}."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    with gzip.open(SAMPLE / "truth" / "pages.jsonl.gz", "rt") as lines:
        pages = {(p["snapshot"], p["url"]): p for p in map(json.loads, lines) if p["status"] == 200}
    found: dict[str, dict[str, None]] = {language: {} for language in LANGUAGES}
    for path in sorted(SAMPLE.rglob("*.warc.gz")):
        snapshot = next(part for part in path.parts if part.startswith("CC-MAIN-"))
        for record in ArchiveIterator(path.open("rb"), record_types=WarcRecordType.response):
            page = pages.get((snapshot, record.headers["WARC-Target-URI"]))
            if page is None or page["language"] not in found or page["mime"] != "text/html":
                continue
            known = found[page["language"]]
            if len(known) > 4_000:
                continue
            html = record.reader.read().decode(page["charset"] or "utf-8", "replace")
            for line in extract_plain_text(html, main_content=True).splitlines():
                for sentence in re.split(r"(?<=[.!?।])\s+|(?<=[。！？])", line.strip()):
                    letters = sum(map(str.isalpha, sentence))
                    if page["language"] in OTHER_SCRIPTS and 2 * len(re.findall("[A-Za-z]", sentence)) > letters:
                        continue  # English in a page of another language
                    if 25 <= len(sentence) <= 300 and not re.search(r"[\d@/\\<>{}\[\]|=]", sentence):
                        known[unicodedata.normalize("NFC", sentence)] = None
    return {language: list(known) for language, known in found.items()}


def phone_numbers(rng: random.Random, countries: str) -> Iterator[tuple[str, object]]:
    """(country, valid number that is kept for nobody): example numbers, and others that differ in the last digits."""
    import phonenumbers

    kinds = phonenumbers.PhoneNumberType
    for country in countries.split():
        for kind in (kinds.FIXED_LINE, kinds.MOBILE, kinds.TOLL_FREE):
            example = phonenumbers.example_number_for_type(country, kind)
            if example is None:
                continue
            for attempt in range(12):
                tail = f"{rng.randrange(10_000):04d}" if attempt else str(example.national_number)[-4:]
                number = phonenumbers.PhoneNumber(
                    country_code=example.country_code,
                    italian_leading_zero=example.italian_leading_zero,
                    national_number=int(str(example.national_number)[:-4] + tail),
                )
                national = phonenumbers.national_significant_number(number)
                if number.country_code == 1:
                    fiction = national[3:8] == "55501"
                else:
                    fiction = national.startswith(FICTION.get(number.country_code, ("-",)))
                if phonenumbers.is_valid_number(number) and not fiction and len(national) >= 7:
                    yield country, number
                    break


def luhn(start: str, length: int, rng: random.Random) -> str:
    body = start + "".join(rng.choice(string.digits) for _ in range(length - len(start) - 1))
    total = sum(sum(divmod(int(d) * (2 - place % 2), 10)) for place, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def iban(country: str, rng: random.Random) -> str:
    alphabets = {"n": string.digits, "a": string.ascii_uppercase, "c": string.ascii_uppercase + string.digits}
    body = "".join(
        rng.choice(alphabets[kind])
        for size, kind in re.findall(r"(\d+)([nac])", IBANS[country])
        for _ in range(int(size))
    )
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    return f"{country}{98 - number % 97:02d}{body}"


def grouped(value: str, size: int = 4, sign: str = " ") -> str:
    return sign.join(value[n : n + size] for n in range(0, len(value), size))


def personal(language: str, rng: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """(kind, form, value, phrase with it) of one round in a language."""
    import phonenumbers

    forms = phonenumbers.PhoneNumberFormat
    everywhere = " ".join(COUNTRIES.values())
    for country, number in phone_numbers(rng, everywhere):
        how = rng.choice((forms.INTERNATIONAL, forms.E164))
        value = phonenumbers.format_number(number, how)
        phrase = rng.choice(("{}", "({})", *CALLS[language], "WhatsApp {}"))
        yield "phone", f"with country code, {country}", value, phrase.format(value)
    for country, number in phone_numbers(rng, COUNTRIES[language]):
        for phrase in CALLS[language]:
            value = phonenumbers.format_number(number, forms.NATIONAL)
            yield "phone", f"national, {country}", value, phrase.format(value)
    for _ in range(25):
        name, host, ending = rng.choice(NAMES), rng.choice(HOSTS), rng.choice(ENDINGS)
        domain = f"{host}.{ending}"
        spelt = domain.replace(".", " dot ")
        dotted = rng.choice(("jane.roe", "j.smith", "anna.meier", "luis_garcia"))
        for form, value, phrase in (
            ("plain", f"{name}@{domain}", rng.choice(("{}", "<{}>", "({})", "E-mail: {}", "mailto:{}", "{}"))),
            ("subdomain", f"{name}@mail.{domain}", "{}"),
            ("upper case", f"{name}@{domain}".upper(), "{}"),
            ("full-width sign", f"{name}＠{domain}", "{}"),
            ("brackets", rng.choice(BRACKETS).format(name, domain), "{}"),
            ("brackets and dots", f"{name} [at] {domain.replace('.', ' [dot] ')}", "{}"),
            ("escaped", rng.choice(("{}&#64;{}", "{}%40{}", "{}&#x40;{}")).format(name, domain), "mailto:{}"),
            ("spelled out", f"{dotted} at {spelt}", "e-mail: {}"),
            ("at with a name", f"{dotted} at {domain}", "e-mail: {}"),
            ("spaces", f"{dotted} @ {domain}", "{}"),
        ):  # fmt: skip
            yield "email", form, value, phrase.format(value)
    for _ in range(40):
        address = ipaddress.IPv4Address(rng.randrange(2**32))
        if (
            address.is_global
            and not address.is_multicast
            and max(address.packed) > 31
            and address.packed[3] not in (0,)
        ):
            yield (
                "ip",
                "version 4",
                str(address),
                rng.choice(("{}", "IP {}", "ssh root@{}", "http://{}/", "({})")).format(address),
            )
        six = ipaddress.IPv6Address((0x2A00 << 112) + rng.randrange(2**108))
        yield "ip", "version 6", str(six), rng.choice(("{}", "IPv6 {}", "[{}]:443")).format(six)
        start, length = rng.choice(CARDS)
        number = luhn(start, length, rng)
        value = rng.choice((number, grouped(number), grouped(number, sign="-"))) if length == 16 else number
        yield "payment_card", f"{length} digits", value, rng.choice(("{}", "Visa {}", "({})")).format(value)
        account = iban(rng.choice(list(IBANS)), rng)
        value = rng.choice((account, grouped(account)))
        yield "iban", account[:2], value, rng.choice(("{}", "IBAN: {}", "IBAN {}", "({})")).format(value)


def harmless(language: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """(form, phrase) of one round of numbers and signs that are not personal data."""
    version, order, year = WORDS[language]
    n = rng.randrange

    def digits(length: int) -> str:
        return str(n(1, 10)) + "".join(rng.choice(string.digits) for _ in range(length - 1))

    y, m, d = n(1950, 2030), n(1, 13), n(1, 29)
    isbn = "978" + digits(9)
    isbn += str(-sum(int(c) * (1 + 2 * (place % 2)) for place, c in enumerate(isbn)) % 10)
    ten = digits(9)
    check = sum((10 - place) * int(c) for place, c in enumerate(ten)) * -1 % 11
    digest = hashlib.sha256(rng.randbytes(8)).hexdigest()
    yield "year", f"{year} {y}"
    yield (
        "years",
        rng.choice((f"{y} {y + 1} {y + 2} {y + 3}", f"{y}-{y + 9}", f"{y}, {y + 2}, {y + 5}", f"{y}/{y + 1}")),
    )
    yield (
        "date",
        rng.choice(
            (
                f"{y}-{m:02d}-{d:02d}",
                f"{d:02d}.{m:02d}.{y}",
                f"{m}/{d}/{y}",
                f"{y}/{m:02d}/{d:02d}",
                f"{y}{m:02d}{d:02d}",
            )
        ),
    )
    yield "date and time", f"{y}-{m:02d}-{d:02d} {n(24):02d}:{n(60):02d}:{n(60):02d}"
    yield (
        "date after a telephone",
        rng.choice(("mobile: {}", "Mobile {}", "Phone {}", "Tel. {}")).format(f"{y}-{m:02d}-{d:02d}"),
    )
    yield "version", f"{version} {n(1, 12)}.{n(30)}.{n(30)}"
    yield "version of four numbers", f"{version} {n(60, 200)}.{n(10)}.{n(1000, 9000)}.{n(60, 200)}"
    yield "version like an address", f"{version} {n(60, 200)}.{n(60, 200)}.{n(60, 200)}.{n(60, 200)}"
    yield (
        "version like an address",
        rng.choice(("Chrome/{}", "libfoo-{}.tar.gz", "v{}", "firmware {}")).format(f"{n(99)}.{n(99)}.{n(99)}.{n(99)}"),
    )
    yield "version after a telephone", f"Windows Phone {n(7, 11)}.0.{n(10000, 19000)}.{n(100, 999)}"
    yield "ISBN", f"ISBN {isbn[:3]}-{isbn[3]}-{isbn[4:8]}-{isbn[8:12]}-{isbn[12]}"
    yield (
        "ISBN",
        rng.choice(("ISBN {}", "ISBN-10: {}")).format(
            f"{ten[0]}-{ten[1:4]}-{ten[4:9]}-{'X' if check == 10 else check}"
        ),
    )
    yield "ISBN", f"ISBN {isbn}"
    order_numbers = (
        digits(10), digits(12), digits(16), f"{digits(3)}-{digits(7)}-{digits(7)}",
        f"{digits(3)}-{digits(3)}-{digits(4)}", f"AB-{digits(8)}",
    )  # fmt: skip
    yield "order number", f"{order} {rng.choice(order_numbers)}"
    yield "tracking number", f"9400 1{digits(3)} {digits(4)} {digits(4)} {digits(4)} {digits(2)}"
    yield "hash", rng.choice((digest, digest[:40], digest[:32]))
    yield "uuid", str(uuid.UUID(int=rng.getrandbits(128)))
    yield "timestamp", digits(10)
    yield (
        "amount",
        rng.choice(
            (
                f"{n(1, 999)},{digits(3)},{digits(3)}.{n(10, 99)}",
                f"{n(1, 99)} 000 000",
                f"{digits(7)}",
                f"{n(1, 999)} {digits(3)} {digits(3)}",
            )
        ),
    )
    yield (
        "measure",
        rng.choice(
            (
                f"pH {n(1, 14)}.{n(10, 99)}-{n(1, 14)}.{n(10, 99)}",
                f"{n(1, 9)}.{digits(14)}",
                f"{n(10, 80)}.{digits(4)}, {n(10, 80)}.{digits(4)}",
            )
        ),
    )
    yield "section", f"§ {n(1, 9)}.{n(1, 9)}.{n(1, 9)}.{n(1, 9)}"
    yield (
        "for fiction",
        rng.choice(
            (
                f"(212) 555-01{n(100):02d}",
                f"+1 415-555-01{n(100):02d}",
                f"+44 20 7946 0{digits(3)}",
                f"Tel. 020 7946 0{digits(3)}",
                f"+44 7700 900{digits(3)}",
            )
        ),
    )
    yield (
        "example address",
        rng.choice(
            (
                f"192.0.2.{n(256)}",
                f"10.{n(256)}.{n(256)}.{n(256)}",
                "127.0.0.1",
                f"2001:db8::{n(9999)}",
                f"192.168.{n(256)}.{n(256)}",
                f"224.0.0.{n(256)}",
            )
        ),
    )
    yield (
        "example address",
        rng.choice(("jane@example.com", "bob@mail.example.org", "root@localhost", "user@host.local")),
    )
    yield (
        "package",
        rng.choice(
            (
                f"lodash@{n(9)}.{n(30)}.{n(30)}",
                f"pkg@{n(9)}.{n(9)}.io",
                "@angular/core@next",
                f"logo@{n(2, 4)}x.png",
                "foo@sha256:abc",
            )
        ),
    )
    yield (
        "code with @",
        rng.choice(("@app.route", "a @ b.T", "indent@buffer.name=value", "@media (min-width: 30em)", "x[at]")),
    )
    yield (
        "look at",
        rng.choice(("look at acme.com", "see us at northwind.org", "available at python.org", "Node.js at nodejs.org")),
    )
    yield "test card", rng.choice(("4111 1111 1111 1111", "4242424242424242", "378282246310005"))
    yield "wrong check digit", f"{luhn('4', 16, rng)[:-1]}{'x'}"
    yield "hardware address", ":".join(digest[i : i + 2] for i in range(0, 12, 2))
    yield "object identifier", f"1.3.6.1.4.1.{n(9999)}.{n(9)}"
    yield "DOI", f"doi:10.{n(1000, 9999)}/{digits(7)}"


def planted(language: str, texts: list[str], rng: random.Random, harmless_rounds: int) -> Iterator[Planted]:
    """Texts of a language with personal data, then at least as many with harmless numbers."""
    count = 0
    for kind, form, value, phrase in personal(language, rng):
        yield Planted(inside(rng.choice(texts), phrase, language, rng), language, kind, value, form)
        count += 1
    while harmless_rounds > 0 or count > 0:
        for form, phrase in harmless(language, rng):
            yield Planted(inside(rng.choice(texts), phrase, language, rng), language, None, "", form)
            count -= 1
        harmless_rounds -= 1


def inside(sentence: str, phrase: str, language: str, rng: random.Random) -> str:
    """The sentence with the phrase between two of its words: after a space, or between any two letters where the script
    has no spaces."""
    if language in UNSPACED:

        def letter(character: str) -> bool:
            return unicodedata.category(character)[0] == "L" and not character.isascii()

        places = [n for n in range(1, len(sentence)) if letter(sentence[n - 1]) and letter(sentence[n])]
        place = rng.choice(places or [len(sentence)])
        return f"{sentence[:place]}{phrase}{sentence[place:]}"
    words = sentence.split(" ")
    place = rng.randrange(len(words) + 1)
    mark = rng.choice(("", ",", "."))
    # Korean writes a particle after a value without a space.
    after = rng.choice(("", "로", "에서")) if language == "ko" else mark
    return " ".join([*words[:place], phrase + after, *words[place:]])
