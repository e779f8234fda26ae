"""The text browser Lynx, which lays pages out as text: many pages per process, under limits, without a network.

Starting Lynx takes three quarters of the time of rendering a page, so pages share a process, with separators between
them that are checked afterwards. What is rendered is markup that this project wrote (`nemotron_assets/math/markup.py`),
never a page's own: Lynx sees no link, no form, no script and no address.
"""

from __future__ import annotations

import contextlib
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: As published (NeMo Curator's lynx.py for Nemotron-CC-Math), and what keeps it from doing anything else.
FLAGS = (
    "-dump", "-stdin", "-nolist", "-width=10000", "-assume_charset=utf-8", "-display_charset=utf-8", "-localhost",
    "-force_html", "-nomargins", "-restrictions=all", "-noreferer", "-nobrowse", "-nopause", "-nolog",
)  # fmt: skip
_CONFIG = "PERSISTENT_COOKIES:FALSE\nACCEPT_ALL_COOKIES:FALSE\nSET_COOKIES:FALSE\nNO_PAUSE:TRUE\n"
_WRAPPED = 900  # columns; Lynx breaks lines near 1,010 whatever -width says


class LynxError(RuntimeError):
    """Lynx is missing, failed, took too long, or lost track of a page."""


def find() -> str:
    """The path of the program. Raises `LynxError` that says how to get it."""
    path = shutil.which("lynx")
    if path is None:
        raise LynxError("the text browser lynx is not installed: sudo apt-get install lynx")
    return path


class Lynx:
    """Renders markup to text. `timeout_s` and `memory_mb` (of address space) are for one process and all its
    pages."""

    def __init__(self, timeout_s: float = 20.0, memory_mb: int = 1_024) -> None:
        self.timeout_s, self.memory = timeout_s, memory_mb << 20

    def render(self, pages: Sequence[str]) -> list[str | LynxError]:
        """The text of every page, in order; a page that Lynx cannot do is its error. Pages must be balanced markup
        and not contain the words `zqsep…`."""
        if not pages:
            return []
        try:
            return list(self._together(pages))
        except LynxError as error:
            if len(pages) == 1:
                return [error]
            middle = len(pages) // 2
            return self.render(pages[:middle]) + self.render(pages[middle:])

    def _together(self, pages: Sequence[str]) -> list[str]:
        separated = "".join(f"<p>{_separator(i)}</p>\n<div>{page}</div>\n" for i, page in enumerate(pages))
        end = f"<p>{_separator(len(pages))}</p>"
        text = self._run(f"<html><head><title></title></head><body>{separated}{end}</body></html>")
        parts = re.split(r"^[ \t]*zqsepx(\d+)qz[ \t]*$", text, flags=re.MULTILINE)
        if parts[1::2] != [str(i) for i in range(len(pages) + 1)]:
            raise LynxError(f"Lynx gave back {len(parts) // 2} of {len(pages) + 1} separators")
        return [_tidy(part) for part in parts[2:-1:2]]

    def _run(self, markup: str) -> str:
        with tempfile.TemporaryDirectory(prefix="nemotron-lynx-") as folder:
            config = Path(folder, "lynx.cfg")
            config.write_text(_CONFIG)
            environment = {
                "HOME": folder,
                "TERM": "dumb",
                "LC_ALL": "C.UTF-8",
                "LYNX_TEMP_SPACE": folder,
                "PATH": "/usr/bin:/bin",
            }
            process = subprocess.Popen(
                [find(), *FLAGS, f"-cfg={config}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, cwd=folder, env=environment,
            )  # fmt: skip
            with contextlib.suppress(ProcessLookupError, PermissionError):
                seconds = int(self.timeout_s) + 1
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (seconds, seconds))
                resource.prlimit(process.pid, resource.RLIMIT_AS, (self.memory, self.memory))
            try:
                output, errors = process.communicate(markup.encode("utf-8"), timeout=self.timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise LynxError(f"Lynx took longer than {self.timeout_s:g} s") from None
        if process.returncode:
            raise LynxError(f"Lynx ended with {process.returncode}: {errors.decode(errors='replace')[:300]}")
        return output.decode("utf-8", "replace")


def _separator(number: int) -> str:
    return f"zqsepx{number}qz"


def _tidy(text: str) -> str:
    """A page's text without the browser's line breaks in long lines and without blank lines around it."""
    lines = [line.rstrip() for line in text.split("\n")]
    whole: list[str] = []
    wrapped = False
    for line in lines:
        if wrapped and line.strip():
            whole[-1] = f"{whole[-1]} {line.strip()}"
        else:
            whole.append(line)
        wrapped = len(line) >= _WRAPPED
    return "\n".join(whole).strip("\n")
