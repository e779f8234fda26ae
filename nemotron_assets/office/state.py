"""The state of the office: four tables in memory, made from a seed, and the hash by which two states are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from nemotron_assets.table.ids import content_hash

#: Tables of the office, and how the ids of their rows begin.
TABLES = {"events": "event", "mails": "mail", "files": "file", "customers": "customer"}
STATUSES = ("lead", "active", "paused", "lost")
#: Rows that a table may have. A model that writes without end gets an error.
MOST_ROWS = 200

_FIRST = ("Amara", "Bilal", "Chiara", "Deniz", "Elif", "Farid", "Grace", "Hana", "Ivan", "Jonas", "Kofi", "Lena",
          "Mateo", "Noor", "Olga", "Priya", "Quentin", "Rosa", "Samir", "Tuan")  # fmt: skip
_LAST = ("Adler", "Bakker", "Costa", "Diallo", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jensen", "Khan",
         "Lopez", "Moreau", "Nowak", "Okoye", "Petrov", "Rossi", "Sato", "Tanaka", "Weber")  # fmt: skip
_ROLES = ("accountant", "architect", "baker", "editor", "engineer", "librarian", "nurse", "teacher", "translator")
SUBJECTS = ("budget", "hiring plan", "invoice", "lease", "newsletter", "order", "price list", "report", "roadmap",
            "survey", "training", "travel", "warranty", "website", "workshop")  # fmt: skip
FOLDERS = ("drafts", "notes", "public", "reports")


@dataclass(frozen=True)
class Person:
    """Somebody who works in the office, or writes to it."""

    name: str
    role: str

    @property
    def mail(self) -> str:
        return f"{self.name.lower().replace(' ', '.')}@example.org"


def person(random: Random) -> Person:
    return Person(f"{random.choice(_FIRST)} {random.choice(_LAST)}", random.choice(_ROLES))


def day(random: Random) -> str:
    """A working day of 2026."""
    return f"2026-{random.randint(1, 12):02d}-{random.randint(1, 28):02d}"


def hour(random: Random) -> str:
    return f"{random.randint(8, 17):02d}:{random.choice(('00', '15', '30', '45'))}"


class Rows(dict[str, dict[str, Any]]):
    """{id of a row: row} of one table. `last` is the number of the newest id, also when its row was deleted."""

    last = 0


Office = dict[str, Rows]


def new_office(seed: int, rows: int = 4) -> Office:
    """{table: {id of a row: row}} with `rows` rows in each table. No two rows of a table share a name or a subject."""
    random, office = Random(f"office {seed}"), {name: Rows() for name in TABLES}
    subjects = {name: random.sample(SUBJECTS, rows) for name in TABLES}
    people = random.sample([f"{first} {last}" for first, last in zip(_FIRST, _LAST, strict=True)], rows)
    for number in range(rows):
        other = person(random)
        add(office, "events", title=subjects["events"][number], day=day(random), time=hour(random), minutes=30)
        add(
            office,
            "mails",
            sender=other.mail,
            subject=subjects["mails"][number],
            text=f"About the {subjects['mails'][number]}.",
        )
        path = f"{random.choice(FOLDERS)}/{subjects['files'][number].replace(' ', '-')}.txt"
        add(office, "files", path=path, text=f"Draft of the {subjects['files'][number]}.")
        customer = Person(people[number], "")
        add(office, "customers", name=customer.name, mail=customer.mail, status=random.choice(STATUSES))
    return office


def add(office: Office, table: str, **row: Any) -> str:
    """Add a row and return its id. Ids count on, so a deleted id does not come back."""
    rows = office[table]
    if len(rows) >= MOST_ROWS:
        raise ValueError(f"{table} is full: it has {MOST_ROWS} entries")
    rows.last += 1
    key = f"{TABLES[table]}-{rows.last}"
    rows[key] = row
    return key


def digest(office: Office) -> str:
    """The hash of a state: equal for equal tables, whatever the ids of their rows are."""
    rows = {name: sorted(json.dumps(row, sort_keys=True) for row in table.values()) for name, table in office.items()}
    return content_hash(json.dumps(rows, sort_keys=True))
