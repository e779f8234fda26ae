"""Rules: bounds by language against plain Python, paths, and the recipe's mistakes."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nemotron_assets.code.quality import rules
from nemotron_assets.recipe.code.numbers import NUMBERS, WHOLE
from nemotron_assets.recipe.code.quality import CodeQuality

RECIPE = CodeQuality()
FINE = {
    **dict.fromkeys(NUMBERS, 0), "bytes": 2_000, "characters": 2_000, "lines": 80, "longest_line": 90,
    "mean_line": 25.0,
    "letter_share": 0.7, "unique_word_share": 0.6, "words": 300, "mean_word_characters": 5.0, "digit_share": 0.02,
    "whitespace_share": 0.2, "comment_share": 0.1, "syntax_ok": 1, "visible_characters": 500, "visible_word_share": 0.6,
    "variables": 3,
}  # fmt: skip
TYPES = {name: pl.Int64 if name in WHOLE else pl.Float64 for name in NUMBERS}


def failed(path: str = "src/a.py", language: str = "Python", repo: str = "a/b", recipe=RECIPE, id="0" * 8, **numbers):
    row = {"parents": [id], "repo": repo, "rel_path": path, "language": language, **FINE, **numbers}
    frame = pl.DataFrame([row], schema_overrides=TYPES)
    return frame.select(rules.failures(recipe)).item().to_list()


def test_a_fine_file_fails_nothing():
    for language in ("Python", "C", "Go", "SQL", "Markdown", "JSON", "HTML", "Shell", "COBOL"):
        assert failed("src/a", language) == []


@pytest.mark.parametrize(
    ("language", "number", "value", "drops"),
    [("C", "longest_line", 1_001, True), ("C", "longest_line", 1_000, False), ("C", "lines", 9, True),
     ("SQL", "digit_share", 0.25, False), ("SQL", "digit_share", 0.31, True), ("C", "digit_share", 0.25, True),
     ("Shell", "assert_line_share", 0.9, False), ("C", "assert_line_share", 0.41, True), ("Python", "syntax_ok", 0,
     True),
     ("C", "syntax_ok", 0, False), ("JavaScript", "syntax_ok", 0, True), ("Python", "syntax_ok", None, False),
     ("C++", "main_lines", 2, True), ("Java", "variables", 0, True), ("Go", "function_line_share", 0.21, True),
     ("Python", "import_line_share", 0.31, True),
     ("JSON", "characters", 5_001, True), ("C", "characters", 5_001, False), ("JSON", "lines", 1, False),
     ("Markdown", "words", 49, True), ("C", "words", 49, False), ("HTML", "visible_word_share", 0.1, True),
     ("XML", "xml_header", 1, False), ("C", "xml_header", 1, True)],
)  # fmt: skip
def test_bounds_are_those_of_the_language(language, number, value, drops):
    assert failed("src/a", language, **{number: value}) == ([number] if drops else [])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["Python", "C", "Java", "SQL", "Shell", "JSON", "Markdown", "HTML", "Rust"]),
    st.dictionaries(st.sampled_from(sorted(set(NUMBERS) - {"generated_mark", "no_logic_line_share"})),
                    st.one_of(st.none(), st.integers(0, 6_000), st.integers(0, 100).map(lambda n: n / 100)),
                    max_size=6),
)  # fmt: skip
def test_bounds_as_plain_python_applies_them(language, numbers):
    numbers = {name: int(v) if v is not None and name in WHOLE else v for name, v in numbers.items()}
    row = {**FINE, **numbers}
    expected = {
        name
        for name, bounds in RECIPE.rules_of(language).items()
        if row[name] is not None
        and ((bounds.min is not None and row[name] < bounds.min) or (bounds.max is not None and row[name] > bounds.max))
    }
    assert set(failed("src/a", language, **numbers)) - {"minified"} == expected


@pytest.mark.parametrize(
    ("path", "language", "rule"),
    [("vendor/x/a.go", "Go", "vendored"), ("web/node_modules/a/i.js", "JavaScript", "vendored"),
     ("Third_Party/z.c", "C", "vendored"), ("lib/contrib/a.py", "Python", "vendored"), ("a/app.min.js", "JavaScript",
     "minified"),
     ("a/style-min.css", "CSS", "minified"), ("a/app.js.map", "JSON", "data_dump"), ("certs/ca.pem", "Text",
     "data_dump"),
     ("package-lock.json", "JSON", "data_dump")],
)  # fmt: skip
def test_paths_tell(path, language, rule):
    assert failed(path, language) == [rule]


@pytest.mark.parametrize(
    "folder",
    ["node_modules/x", "third_party", "src/third-party/z", "vendor", "a/vendors", "_vendor", "vendored", "dist",
     "3rdparty",
     "bower_components/q", "ios/Pods/AF", "lib/python3/site-packages", "lib/dist-packages", "Godeps/_workspace",
     "external",
     "venv/lib", ".yarn/releases", "Carthage/Checkouts"],
)  # fmt: skip
def test_folders_of_other_people(folder):
    assert failed(f"{folder}/good.py") == ["vendored"]


@pytest.mark.parametrize(
    "path",
    ["a/x_pb2.py", "x_pb2_grpc.py", "api/x.pb.go", "x.pb.cc", "Form1.Designer.cs", "a.g.dart", "moc_window.cpp",
     "qrc_icons.cpp", "src/RcppExports.cpp", "R/RcppExports.R", "__generated__/q.py"],
)  # fmt: skip
def test_names_that_generators_give(path):
    assert failed(path) == ["generated"]
    kept = CodeQuality(generated_files="keep")
    assert failed(path, recipe=kept) == []


def test_minified_with_a_licence_before_it():
    dense = {"mean_line": 82.0, "longest_line": 640, "whitespace_share": 0.09}
    assert failed("lib/a.js", "JavaScript", **dense) == ["minified"]
    assert failed("lib/a.js", "JavaScript", **{**dense, "whitespace_share": 0.15}) == []
    assert failed("lib/a.c", "C", **dense) == []


def test_paths_that_only_look_alike():
    for path in (
        "src/vendor_api.py",
        "vendor.py",
        "src/distance.py",
        "distribution/a.py",
        "src/dist.py",
        "pods.py",
        "podspec/a.py",
        "site_packages.py",
        "src/node_modules.py",
        "externally/a.py",
        "contributing/a.py",
        "src/pb2.py",
        "designer.py",
        "promoc_a.cpp",
    ):
        assert failed(path) == []
    for path in ("src/vendoring.py", "src/contributors.py", "src/admin.js", "minimap.py", "external_api.py"):
        assert failed(path) == []
    assert failed("src/jquery.js", "JavaScript", repo="jquery/jquery") == []
    assert failed("src/jquery.js", "JavaScript") == ["vendored"]


def test_unknown_languages_and_generated_files():
    assert failed("a", "unknown") == ["unknown_language"]
    assert failed("a", "unknown", recipe=CodeQuality(unknown="code")) == []
    assert failed(generated_mark=1) == ["generated"]
    assert failed(recipe=CodeQuality(generated_files="keep"), generated_mark=1) == []


def test_a_share_is_dropped_by_chance():
    import hashlib

    ids = [hashlib.md5(str(n).encode()).hexdigest() for n in range(4_000)]
    frame = pl.DataFrame({"parents": [[i] for i in ids]})
    for share in (0.0, 0.2, 0.8, 1.0):
        assert frame.select(rules.by_chance(share, "x").mean()).item() == pytest.approx(share, abs=0.03)
    dropped = sum(failed("a_test.go", "Go", id=i) == ["go_test"] for i in ids[:150])
    assert 95 <= dropped <= 140


def test_unknown_numbers_are_refused():
    with pytest.raises(ValidationError, match="lenght"):
        CodeQuality(code_rules={"lenght": {"min": 1}})
    with pytest.raises(ValidationError, match="regular expression"):
        CodeQuality(vendored=("(",))
