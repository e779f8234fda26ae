"""What web pages may not enter the lakehouse, and what of their text may not: opt-outs and personal data.

The published pipeline names no such step; all values are defaults.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section

Action = Literal["keep", "replace", "drop"]
_TOKEN = r"^[\[({<][^\W\d]([^\W\d]|[ -])*[\])}>]$"


class OptOuts(Section):
    """Pages that are not used: their owners said so. Lists and files say the same in the same lines (web/opt_outs.py):
    a host with all its subdomains, an address, or an address with `*` in its path."""

    lines: tuple[str, ...] = Field((), description="hosts, addresses and patterns, given here")
    files: tuple[str, ...] = Field(
        (), description="files of such lines, with # comments; absolute, or relative to the working directory"
    )


class PersonalData(Section):
    """What is done about one kind of personal data. It is counted in web.privacy whatever is done."""

    action: Action = Field("replace", description="keep it, replace it, or drop the whole document")
    replacement: Literal["token", "fake"] = Field(
        "token",
        description="the token; or a made-up value of the same kind from the ranges reserved for examples, "
        "the same one for the same value",
    )
    token: str = Field(
        pattern=_TOKEN, max_length=40, description="stands for what was replaced: words in brackets, no digits"
    )


class Email(PersonalData):
    """E-mail addresses, also with [at] and [dot]."""

    token: str = Field("[email]", pattern=_TOKEN, max_length=40, description="stands for what was replaced")
    keep_users: tuple[str, ...] = Field(
        ("git", "hg", "svn"), description="names before the @ that are logins of services (git@host:path), no one's"
    )
    keep_domains: tuple[str, ...] = Field((), description="domains whose addresses, subdomains included, are no one's")


class Phone(PersonalData):
    """Telephone numbers that exist in a country's numbering plan."""

    token: str = Field("[phone]", pattern=_TOKEN, max_length=40, description="stands for what was replaced")
    regions: tuple[str, ...] = Field(
        (
            "US",
            "GB",
            "DE",
            "FR",
            "ES",
            "IT",
            "NL",
            "PL",
            "PT",
            "BR",
            "RU",
            "SE",
            "DK",
            "JP",
            "KR",
            "CN",
            "TH",
            "SA",
            "EG",
            "IN",
            "AU",
            "CA",
        ),
        description="countries (ISO 3166) whose national numbers are recognised behind a word such as 'phone'; US: "
        "also without one, when grouped as 212-456-1414",
    )


class Ip(PersonalData):
    """IP addresses, versions 4 and 6, that anyone may have: global unicast."""

    token: str = Field("[ip]", pattern=_TOKEN, max_length=40, description="stands for what was replaced")
    version_below: int = Field(
        32,
        ge=0,
        le=256,
        description="four numbers that are all below this are a version number (2.4.18.1), unless "
        "the text around says address or it has a port or a network length",
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
        description="networks that are no one's: public name servers",
    )


class PaymentCard(PersonalData):
    """Payment card numbers: issuer range, length and check digit."""

    token: str = Field("[card number]", pattern=_TOKEN, max_length=40, description="stands for what was replaced")


class Iban(PersonalData):
    """International bank account numbers: country, length and check digits."""

    token: str = Field("[iban]", pattern=_TOKEN, max_length=40, description="stands for what was replaced")


class Privacy(Section):
    """Personal data in texts and titles."""

    keep_examples: bool = Field(
        True,
        description="leave what standards reserve for examples: example.com, 192.0.2.x, 127.0.0.1 and private "
        "networks, 555-0100, test card numbers",
    )
    fake_key: str = Field("", max_length=64, description="secret that made-up values depend on; changes all of them")
    email: Email = Email()
    phone: Phone = Phone()
    ip: Ip = Ip()
    payment_card: PaymentCard = PaymentCard()
    iban: Iban = Iban()
    check_documents: int = Field(2_000, ge=1, description="documents of a snapshot that the check scans again")

    @model_validator(mode="after")
    def _found_again(self) -> Privacy:
        made_up = [name for name, rule in self.rules().items() if rule.replacement == "fake"]
        if made_up and not self.keep_examples:
            raise ValueError(f"{', '.join(made_up)}: made-up values are examples, so keep_examples must be true")
        return self

    def rules(self) -> dict[str, PersonalData]:
        """The rules by name."""
        return {name: getattr(self, name) for name in ("email", "phone", "ip", "payment_card", "iban")}
