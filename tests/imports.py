"""Which module of the project imports which, read from the source: also inside functions, not for type checkers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("nemotron_assets", "resources")


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            name = ".".join(path.relative_to(PROJECT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def graph() -> dict[str, set[str]]:
    """The modules of the product that each module imports, itself excepted."""
    known = modules()
    return {name: set(_imported(name, path, known)) - {name} for name, path in known.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""
    import networkx

    network = networkx.DiGraph([(name, other) for name, others in edges.items() for other in others])
    return sorted(sorted(group) for group in networkx.strongly_connected_components(network) if len(group) > 1)


def _imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    for node in _at_run_time(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:  # a module of a package, or a name in it
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but what stands under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _at_run_time(child)
