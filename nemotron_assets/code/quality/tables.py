"""Tables of the quality of source files: measurements, results of the screening, kept files and dropped files."""

from __future__ import annotations

from nemotron_assets.code.columns import COMMIT_ID, LANGUAGE, REL_PATH, REPO
from nemotron_assets.recipe.code.numbers import NUMBERS, OF_SYNTAX, WHOLE
from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS
from nemotron_assets.table.schema import Column, Table

CYCLOMATIC = Column(
    "cyclomatic",
    "int64",
    "largest cyclomatic complexity of a function in the file, 0 without functions; null: not measured for the language "
    "or size of the file",
    nullable=True,
)
TOKENS = Column(
    "tokens", "int64", "estimated number of tokens: characters divided by the recipe's characters per token"
)

ANNOTATIONS = Table(
    "code",
    "annotations",
    "Measurements of every file, taken from its bytes, its words and its syntax tree.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        *(
            Column(name, "int64" if name in WHOLE else "float64", meaning, nullable=name in OF_SYNTAX)
            for name, meaning in NUMBERS.items()
        ),
    ),
    part_by="repo",
    parents=("code.files",),
    origins={
        "*": ("code.files.content",),
    },
)

SCREENED = Table(
    "code",
    "screened",
    "Results of slow searches in files that no rule drops: complexity, credentials, personal data, benchmark items.",
    (
        ID,
        PARENTS,
        CYCLOMATIC,
        Column(
            "secrets", "list[string]", "kinds of the credentials found, one entry per find, for example aws_key, jwt"
        ),
        Column("personal", "list[string]", "kinds of the personal data found, one entry per find: email or ip"),
        Column(
            "contamination",
            "string",
            "first benchmark item found in the file and what was found of it, for example 'humaneval HumanEval/3: 13 "
            "words of its question'; null: no item found",
            nullable=True,
        ),
        Column(
            "redacted",
            "string",
            "text of the file with credentials and personal data replaced; null: nothing was replaced",
            nullable=True,
        ),
    ),
    parents=("code.files",),
    origins={
        "contamination": ("code.files.content", "evaluate.benchmarks.question", "evaluate.benchmarks.answer"),
        "*": ("code.files.content",),
    },
)

CURATED = Table(
    "code",
    "curated",
    "The corpus: files under an allowed licence that are not duplicates and that no rule drops, without secrets.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        Column("license", "string", "SPDX expression of the licence that the file is used under"),
        Column(
            "content",
            "string",
            "text of the file; where the recipe says so, credentials and personal data are replaced, for example by "
            "REDACTED_AWS_KEY",
        ),
        CONTENT_HASH,
        Column("file_hash", "string", "content_hash of the original file in code.files"),
        Column("redactions", "int64", "number of credentials and pieces of personal data that were replaced"),
        CYCLOMATIC,
        TOKENS,
    ),
    parents=("code.files",),
    origins={
        "license": ("code.licenses.license",),
        "content": ("code.files.content", "code.screened.redacted"),
        "file_hash": ("code.files.content_hash",),
        "redactions": ("code.screened.secrets", "code.screened.personal"),
        "cyclomatic": ("code.screened.cyclomatic",),
        "*": ("code.files.content", "code.screened.redacted"),
    },
)

DROPPED = Table(
    "code",
    "dropped",
    "Files that are not in the corpus, each with every rule that drops it.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        Column(
            "rules",
            "list[string]",
            "rules that drop the file: licence_rejected, licence_review, no_licence, duplicate, vendored, generated, "
            "minified, data_dump, unknown_language, go_test, no_logic, too_complex, secret, personal, contaminated, "
            "not_annotated, not_screened, or the name of a column of code.annotations whose value is out of bounds",
        ),
        TOKENS,
    ),
    parents=("code.files",),
    origins={
        "tokens": ("code.files.content",),
        "*": (
            *(f"code.annotations.{name}" for name in NUMBERS),
            "code.licenses.decision",
            "code.duplicates.duplicate_of",
            "code.screened.secrets",
            "code.screened.personal",
            "code.screened.contamination",
        ),
    },
)

TABLES = [ANNOTATIONS, SCREENED, CURATED, DROPPED]
