"""Tables of the quality of code: numbers about files, what a closer look found, what is kept and what is not."""

from __future__ import annotations

from nemotron_assets.code.columns import COMMIT_ID, CONTENT, LANGUAGE, REL_PATH, REPO
from nemotron_assets.recipe.code.numbers import NUMBERS, OF_SYNTAX, WHOLE
from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS
from nemotron_assets.table.schema import Column, Table

ANNOTATIONS = Table(
    "code",
    "annotations",
    "Numbers about every file: what its bytes, words and syntax tree say.",
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
)

SCREENED = Table(
    "code",
    "screened",
    "A closer look at the files that all rules would keep: complexity, credentials, personal data and benchmark items.",
    (
        ID,
        PARENTS,
        Column("cyclomatic", "int64", "largest cyclomatic complexity of a function; null: not measured", nullable=True),
        Column("secrets", "list[string]", "kinds of credentials that were found, one entry per find"),
        Column("personal", "list[string]", "email or ip, one entry per find"),
        Column("contamination", "string", "first benchmark item found in it, and how; null: none", nullable=True),
        Column("redacted", "string", "the text with what was found replaced; null: unchanged", nullable=True),
    ),
    parents=("code.files",),
)

CURATED = Table(
    "code",
    "curated",
    "The corpus: files under an allowed licence, once each, that all rules keep, without secrets.",
    (
        ID,
        PARENTS,
        REPO,
        COMMIT_ID,
        REL_PATH,
        LANGUAGE,
        Column("license", "string", "SPDX expression the file is used under"),
        CONTENT,
        CONTENT_HASH,
        Column("file_hash", "string", "content hash of the file as it is in code.files"),
        Column("redactions", "int64", "credentials and personal data that were replaced"),
        Column("cyclomatic", "int64", "largest cyclomatic complexity of a function; null: not measured", nullable=True),
        Column("tokens", "int64", "estimate of tokens, from the characters"),
    ),
    parents=("code.files",),
)

DROPPED = Table(
    "code",
    "dropped",
    "Files that are not in the corpus, each with every reason why.",
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
            "reasons: licence_rejected, licence_review, no_licence, duplicate, vendored, "
            "generated, minified, data_dump, unknown_language, go_test, no_logic, too_complex, secret, personal, "
            "contaminated, "
            "not_annotated, not_screened, or the number of code.annotations that is out of bounds",
        ),
        Column("tokens", "int64", "estimate of tokens, from the characters"),
    ),
    parents=("code.files",),
)

TABLES = [ANNOTATIONS, SCREENED, CURATED, DROPPED]
