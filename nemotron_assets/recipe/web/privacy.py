"""Opt-outs (pages that may not be used) and personal data (what may not stay in a text).

The published pipeline names no such step, so that all values here are defaults.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section

Action = Literal["keep", "replace", "drop"]
#: Countries (ISO 3166) with most speakers of the 16 languages of Nemotron first, then others by population.
_REGIONS = (
    "US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "PT", "BR", "RU", "SE", "DK", "JP", "KR", "CN", "TH", "SA",
    "EG", "IN", "AU", "CA", "AT", "CH", "BE", "IE", "LU", "NO", "FI", "IS", "CZ", "SK", "HU", "RO", "BG", "GR",
    "TR", "UA", "BY", "RS", "HR", "SI", "BA", "LT", "LV", "EE", "IL", "AE", "KW", "QA", "JO", "LB", "IQ", "IR",
    "MA", "DZ", "TN", "LY", "KZ", "UZ", "GE", "AM", "AZ", "PK", "BD", "LK", "NP", "ID", "MY", "SG", "PH", "VN",
    "KH", "HK", "TW", "NZ", "MX", "AR", "CO", "CL", "PE", "VE", "EC", "BO", "UY", "PY", "GT", "CR", "PA", "CU",
    "ZA", "NG", "KE", "GH", "ET", "TZ", "UG", "CM", "CI", "SN", "AO", "CY", "MT",
)  # fmt: skip
_TOKEN = r"^[\[({<][^\W\d]([^\W\d]|[ -])*[\])}>]$"


class OptOuts(Section):
    """Pages that may not be used because their owners opted out.

    One entry per line: `example.com` is a host with all its subdomains, `https://example.com/about` one address, and
    `https://example.com/people/*` every address that begins like this. nemotron_assets/text/opt_outs.py has all forms.
    """

    lines: tuple[str, ...] = Field((), description="entries given here: hosts, addresses and patterns")
    files: tuple[str, ...] = Field(
        (), description="files with one entry per line and # comments; a relative path starts at the working directory"
    )
    signals: tuple[Literal["noai", "noimageai", "tdm-reservation"], ...] = Field(
        ("noai", "noimageai", "tdm-reservation"),
        description="opt-outs in a page itself that leave it out: noai and noimageai among the directives for robots "
        "(X-Robots-Tag and <meta>), tdm-reservation: 1 (TDM Reservation Protocol); every one is stored in "
        "snapshots.pages.opt_outs whatever the recipe says (default: all)",
    )


class PersonalData(Section):
    """What is done about one kind of personal data. Every find is counted in web.privacy, whatever is done."""

    action: Action = Field(
        "replace",
        description="what is done about a find. keep: leave it in the text; replace: replace it; drop: drop the whole "
        "document",
    )
    replacement: Literal["token", "fake"] = Field(
        "token",
        description="what a find is replaced by. token: `token`; fake: a made-up value of the same kind, from the "
        "ranges reserved for examples (user123@example.com); equal values get equal fakes",
    )
    token: str = Field(
        pattern=_TOKEN,
        max_length=40,
        description="replacement text: words in brackets, without digits, such as [email]",
    )


class Email(PersonalData):
    """E-mail addresses, also written as jane [at] example [dot] org."""

    token: str = Field("[email]", pattern=_TOKEN, max_length=40, description="replacement text")
    keep_users: tuple[str, ...] = Field(
        ("git", "hg", "svn"),
        description="names before the @ that are logins of services, not persons: git@host:path is left in the text",
    )
    keep_domains: tuple[str, ...] = Field(
        (), description="domains whose addresses, subdomains included, belong to no person and are left in the text"
    )


class Phone(PersonalData):
    """Telephone numbers that are valid in the numbering plan of their country."""

    token: str = Field("[phone]", pattern=_TOKEN, max_length=40, description="replacement text")
    regions: tuple[str, ...] = Field(
        _REGIONS,
        description="countries (ISO 3166) whose national numbers are found after a word such as 'phone'; numbers of "
        "the US also without such a word, when they are grouped as 212-456-1414. International numbers (+49 ...) are "
        "always found",
    )


class Ip(PersonalData):
    """Public IP addresses, versions 4 and 6 (global unicast): private networks and the like are left in the text."""

    token: str = Field("[ip]", pattern=_TOKEN, max_length=40, description="replacement text")
    version_below: int = Field(
        32,
        ge=0,
        le=256,
        description="four numbers that are all below this are read as a version number (2.4.18.1), unless a word such "
        "as 'address' stands before them, or a port or the size of a network (/24) after them; 0: never",
    )
    keep_networks: tuple[str, ...] = Field(
        (
            "1.0.0.1/32",
            "1.1.1.1/32",
            "8.8.4.4/32",
            "8.8.8.8/32",
            "9.9.9.9/32",
            "149.112.112.112/32",
            "208.67.220.220/32",
            "208.67.222.222/32",
            "2001:4860:4860::/48",
            "2606:4700:4700::/48",
            "2620:fe::/48",
        ),
        description="networks that belong to no person: public name servers",
    )


class PaymentCard(PersonalData):
    """Payment card numbers: issuer range, length and check digit must be right."""

    token: str = Field("[card number]", pattern=_TOKEN, max_length=40, description="replacement text")


class Iban(PersonalData):
    """International bank account numbers (IBAN): country, length and check digits must be right."""

    token: str = Field("[iban]", pattern=_TOKEN, max_length=40, description="replacement text")


class Privacy(Section):
    """What is done about personal data in texts and titles."""

    keep_examples: bool = Field(
        True,
        description="whether to leave values that standards reserve for examples: example.com, 192.0.2.x, 127.0.0.1 "
        "and private networks, 555-0100, test card numbers",
    )
    fake_key: str = Field(
        "", max_length=64, description="secret that fake values depend on; a new one changes all of them"
    )
    email: Email = Email()
    phone: Phone = Phone()
    ip: Ip = Ip()
    payment_card: PaymentCard = PaymentCard()
    iban: Iban = Iban()
    check_documents: int = Field(
        2_000, ge=1, description="documents of a snapshot that a check searches again for personal data"
    )

    @model_validator(mode="after")
    def _found_again(self) -> Privacy:
        made_up = [name for name, rule in self.rules().items() if rule.replacement == "fake"]
        if made_up and not self.keep_examples:
            raise ValueError(f"{', '.join(made_up)}: fake values are examples, so keep_examples must be true")
        return self

    def rules(self) -> dict[str, PersonalData]:
        """The rules by name."""
        return {name: getattr(self, name) for name in ("email", "phone", "ip", "payment_card", "iban")}
