"""Which tree-sitter grammar parses which language. The grammars come with the package tree-sitter-language-pack."""

#: {language as in `code.files`: name of its grammar}
GRAMMARS = {
    "Python": "python", "OmniversePython": "python", "Java": "java", "JavaScript": "javascript",
    "TypeScript": "typescript", "TSX": "tsx", "C": "c", "C++": "cpp", "Cuda": "cuda", "C#": "csharp", "Go": "go",
    "Rust": "rust", "PHP": "php", "Ruby": "ruby", "Swift": "swift", "Shell": "bash", "Lua": "lua", "Scala": "scala",
    "Perl": "perl", "Haskell": "haskell", "Fortran": "fortran", "Julia": "julia", "R": "r", "SQL": "sql",
    "HTML": "html", "CSS": "css", "JSON": "json", "YAML": "yaml", "XML": "xml", "Kotlin": "kotlin", "TOML": "toml",
    "Makefile": "make", "Dockerfile": "dockerfile", "Dart": "dart", "Pascal": "pascal",
}  # fmt: skip
