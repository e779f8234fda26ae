"""The language of a file, and what it is found by."""

from __future__ import annotations

import time

import pytest

from nemotron_assets.code.sources.language import language_of
from nemotron_assets.recipe.code.languages import TELLTALE
from nemotron_assets.recipe.code.sources import CARD_LANGUAGES

#: A file for each language of the dataset card: path and text.
CASES = {
    "Java": ("src/A.java", "class A {}"),
    "Python": ("a.py", "x = 1"),
    "JavaScript": ("lib/a.mjs", "export {}"),
    "HTML": ("index.htm", "<p>"),
    "C++": ("a.hpp", "int x;"),
    "Markdown": ("README.md", "# A"),
    "PHP": ("a.php", "<?php"),
    "C#": ("A.cs", "class A {}"),
    "C": ("a.c", "int x;"),
    "CSS": ("a.css", "a {}"),
    "SQL": ("schema.sql", "select 1;"),
    "R": ("R/a.R", "x <- 1"),
    "Shell": ("a.sh", "echo"),
    "TypeScript": ("a.tsx", "let a: number"),
    "JSON": ("a.json", "{}"),
    "Makefile": ("GNUmakefile", "all:"),
    "XML": ("a.xml", "<a/>"),
    "YAML": (".github/a.yml", "a: 1"),
    "Go": ("a.go", "package a"),
    "TeX": ("a.tex", "\\begin"),
    "Ruby": ("Rakefile", "task"),
    "Swift": ("a.swift", "let a"),
    "Rust": ("a.rs", "fn a"),
    "Lua": ("a.lua", "local a"),
    "Dart": ("a.dart", "var a"),
    "Scala": ("a.scala", "val a"),
    "JupyterNotebook": ("a.ipynb", "{}"),
    "reStructuredText": ("a.rst", "A\n="),
    "Pascal": ("a.pas", "begin end."),
    "Perl": ("A.pm", "package A;"),
    "Haskell": ("A.hs", "module A"),
    "Fortran": ("a.f90", "end program"),
    "VB.NET": ("a.vb", "Module A"),
    "Verilog": ("a.v", "module a;\nendmodule\n"),
    "Assembly": ("boot.S", "mov"),
    "VHDL": ("a.vhdl", "entity a"),
    "Julia": ("a.jl", "f(x) = 1"),
    "Dockerfile": ("docker/Dockerfile.dev", "FROM x"),
    "Cuda": ("a.cu", "__global__"),
    "Mathematica": ("a.m", "(* A *)\nf[x_] := Module[{y}, y]\n"),
    "CommonLisp": ("a.lisp", "(defun)"),
    "SystemVerilog": ("a.sv", "module a"),
    "OmniversePython": ("ext/a.py", "import omni.ext\nx = 1\n"),
}


def test_every_language_of_the_card_has_a_case():
    assert sorted(CASES) == sorted(CARD_LANGUAGES)
    assert len(CARD_LANGUAGES) == len(set(CARD_LANGUAGES)) == 43


@pytest.mark.parametrize("language", CASES)
def test_every_language_of_the_card_is_found(language):
    assert language_of(*CASES[language], model=False).name == language


@pytest.mark.parametrize(
    ("path", "text", "language", "by"),
    [
        ("bin/run", "#!/usr/bin/env -S python3.11 -u\nx", "Python", "shebang"),
        ("bin/run", "#!/usr/bin/env LC_ALL=C bash\nx", "Shell", "shebang"),
        ("bin/run", "#! /bin/sh\nx", "Shell", "shebang"),
        ("bin/run", "#!/opt/ruby-2.7\nx", "Ruby", "shebang"),
        ("bin/run", "#!/bin/busybox sh\nx", "Shell", "shebang"),
        ("bin/run", "#!/usr/bin/busybox ash\nx", "Shell", "shebang"),
        ("bin/run", "#!/usr/bin/env -S LC_ALL=C perl -w\nx", "Perl", "shebang"),
        ("build/Makefile.linux", "all:", "Makefile", "filename"),
        ("Makefile.PL", "use ExtUtils::MakeMaker;", "Perl", "filename"),
        ("makefile.py", "x = 1", "Python", "extension"),
        ("Dockerfile-alpine", "FROM x", "Dockerfile", "filename"),
        ("a.h++", "int x;", "C++", "extension"),
        ("src/Main.C", "int x;", "C++", "extension"),
        ("OLD/MAIN.C", "int x;", "C", "extension"),
        ("config.h.in", "#undef HAVE_X\n", "C", "extension"),
        ("lib.rs.in", "fn a() {}", "Rust", "extension"),
        ("requirements.in", "numpy", "Text", "extension"),
        ("a.h", "#ifdef __cplusplus\nnamespace a {\n#endif\nint f(void);\n", "C", "extension"),
        ("a.h", "#if __cplusplus < 201703L\n#error old\n#endif\nnamespace a {\n}\n", "C++", "content"),
        ("a.h", "#pragma once\n#include <type_traits>\n", "C++", "content"),
        ("a.v", "module main\n\nimport os\n\nfn main() {\n}\n", "V", "content"),
        ("lib/Gc.pl", "# made by mktables\nreturn <<'END';\n0041\n005A\nEND\n", "Perl", "extension"),
        ("t/a.t", "use Test::More;\n$db->run(<<'E');\nCREATE TABLE a (b int);\nE\n", "Perl", "content"),
        ("q.sql", "SELECT * FROM a LIMIT 1;", "SQL", "extension"),
        ("q.plsql", "DECLARE x NUMBER; BEGIN NULL; END;", "SQL", "extension"),
        ("bin/run", "#!\n", "unknown", "nothing"),
        ("bin/run", "#!/usr/bin/env\n", "unknown", "nothing"),
        ("LICENSE", "MIT", "Text", "filename"),
        ("COPYING.LESSER", "GNU", "Text", "filename"),
        ("LICENSE.md", "# MIT", "Markdown", "extension"),
        ("debian/copyright", "Files: *", "Text", "filename"),
        ("Makefile.am", "all:", "Makefile", "filename"),
        ("a.d.ts", "export {}", "TypeScript", "extension"),
        ("app_de.ts", "<?xml version='1.0'?>\n<!DOCTYPE TS>", "XML", "content"),
        ("a.h", "#pragma once\nnamespace a {\nclass B;\n}\n", "C++", "content"),
        ("a.h", "@interface A : NSObject\n@end\n", "Objective-C", "content"),
        ("a.h", "int f(int);\n", "C", "extension"),
        ("a.pl", ":- module(a, []).\nf(X) :- g(X).\n", "Prolog", "content"),
        ("t/a.t", "use strict;\nuse Test::More;\n", "Perl", "content"),
        ("t/a.t", "BEGIN;\nSELECT plan(3);\n", "SQL", "content"),
        ("a.v", "Theorem a : True.\nProof. auto. Qed.\n", "Rocq Prover", "content"),
        ("Account.cls", "public with sharing class Account {\n    Integer n;\n}\n", "Apex", "content"),
        ("a.cls", "\\ProvidesClass{a}\n", "TeX", "content"),
        ("a.cls", "Private Sub Open_Click()\nEnd Sub\n", "VBA", "content"),
        ("a.cls", "Class My.Record Extends %Persistent\n{\n}\n", "unknown", "nothing"),
        ("configure.inc", "log() {\n  echo $1\n}\nif true; then\n  log x\nfi\n", "Shell", "content"),
        ("a.inc", "<?php\nfunction f() {\n}\n", "PHP", "content"),
        ("rules.inc", "CFLAGS += -O2\nall: a.o\n", "Makefile", "content"),
        ("a.inc", "%macro print 1\n  mov eax, %1\n%endmacro\n", "Assembly", "content"),
        ("a.inc", "1 2 3\n4 5 6\n", "unknown", "nothing"),
        ("de.ts", '<TS version="2.1" language="de">\n<context>\n', "XML", "content"),
        ("de.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS version="2.1">\n', "XML", "content"),
        ("a.ts", "const x = `\n<?xml version='1.0'?>\n`;\n", "TypeScript", "extension"),
        ("app.pro", "QT += core gui\nSOURCES += main.cpp\n", "QMake", "content"),
        ("a.pro", ":- module(a, [f/1]).\nf(X) :- g(X).\n", "Prolog", "content"),
        ("a.pro", "pro spectrum, x, y\n  compile_opt idl2\nend\n", "IDL", "content"),
        ("proguard.pro", "-keep class a.B\n", "unknown", "nothing"),
        ("a.bf", "++++++++[>++++++++<-]>+.\n", "Brainfuck", "content"),
        ("a.bf", 'ExecuteAFile("x.bf");\n', "HyPhy", "content"),
        ("a.bf", "who knows\n", "unknown", "nothing"),
        ("a.unheardof", "???", "unknown", "nothing"),
        (".hidden", "???", "unknown", "nothing"),
        ("", "", "unknown", "nothing"),
    ],
)
def test_names_first_lines_and_telltales(path, text, language, by):
    assert language_of(path, text, model=False) == (language, by)


def test_the_model_is_asked_where_nothing_else_tells():
    rust = "use std::collections::HashMap;\n\nfn main() {\n    let mut m: HashMap<&str, u32> = HashMap::new();\n" * 8
    assert language_of("bin/run", rust) == ("Rust", "content")
    assert language_of("bin/run", rust, model=False) == ("unknown", "nothing")
    assert language_of("a.h", "int add(int a, int b);\nstruct point { int x; int y; };\n" * 8).name == "C"


def test_text_made_to_be_searched_for_long_is_not():
    """Searches whose time grows with the square of a run of lines took 240 s for these, all together."""
    started = time.process_time()
    for extension in TELLTALE:
        for unit in ("\n", "\t\n", " ", ":=", "class a ", "function a:", "#if __cplusplus\n", "class\n", "node a:"):
            language_of(f"a.{extension}", unit * (50_000 // len(unit)), model=False)
    assert time.process_time() - started < 60
