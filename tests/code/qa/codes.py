"""A small function (or query) in every language that questions are written about."""

CODES = {
    "Python": "def total(a, b):\n    return a + b + 0",
    "C": "int total(int a, int b) {\n    return a + b;\n}",
    "C++": "template <typename T>\nT total(T a, T b) {\n    return a + b;\n}",
    "C#": "public static int total(int a, int b)\n{\n    return a + b;\n}",
    "Java": "public static int total(int a, int b) {\n    return a + b;\n}",
    "JavaScript": "function total(a, b) {\n  return a + b;\n}",
    "TypeScript": "function total(a: number, b: number): number {\n  return a + b;\n}",
    "Go": "func total(a int, b int) int {\n\treturn a + b\n}",
    "Rust": "fn total(a: i64, b: i64) -> i64 {\n    a + b\n}",
    "PHP": "<?php\nfunction total($a, $b) {\n    return $a + $b;\n}",
    "SQL": "SELECT a + b AS total FROM numbers WHERE a > 3;",
}
