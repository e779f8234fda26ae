"""Lays out pages as text with the text browser Lynx: many pages per process, under limits, without a network.

Starting Lynx takes three quarters of the time of rendering one page, so pages share a process. They are divided by
separators, which are checked afterwards. `render` receives markup that this project wrote
(`nemotron_assets/math/markup.py`) and never the markup of a page itself: Lynx sees no links, forms or scripts.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: The published flags (lynx.py of NeMo Curator, for Nemotron-CC-Math).
PUBLISHED = (
    "-dump", "-stdin", "-nolist", "-width=10000", "-assume_charset=utf-8", "-display_charset=utf-8", "-localhost",
    "-force_html",
)  # fmt: skip
#: Flags that restrict Lynx to laying out text. They do not change the text.
SAFE = ("-restrictions=all", "-noreferer", "-nobrowse", "-nopause", "-nolog")
_CONFIG = """\
PERSISTENT_COOKIES:FALSE
ACCEPT_ALL_COOKIES:FALSE
SET_COOKIES:FALSE
NO_PAUSE:TRUE
LOCAL_EXECUTION_LINKS_ALWAYS_ON:FALSE
LOCAL_EXECUTION_LINKS_ON_BUT_NOT_REMOTE:FALSE
"""
_WRAPPED = 900  # a line of at least this many columns was broken by Lynx, which breaks near 1,010 despite -width


class LynxError(RuntimeError):
    """Lynx is missing, failed, took too long, or did not return every separator."""


def find() -> str:
    """The path of the program. Raises `LynxError`, which says how to install it, if it is missing."""
    path = shutil.which("lynx")
    if path is None:
        raise LynxError("the text browser lynx is not installed: sudo apt-get install lynx")
    return path


class Lynx:
    """Renders markup to text.

    `timeout_s` (seconds) and `memory_mb` (MiB of address space) limit one process with all its pages.
    """

    def __init__(self, timeout_s: float = 20.0, memory_mb: int = 1_024) -> None:
        self.timeout_s, self.memory = timeout_s, memory_mb << 20

    def render(self, pages: Sequence[str]) -> list[str | LynxError]:
        """The text of every page, in order, or the error of a page that Lynx cannot render. Tags must be balanced."""
        if not pages:
            return []
        try:
            return list(self._together(pages))
        except LynxError as error:
            if len(pages) == 1:
                return [error]
            middle = len(pages) // 2
            return self.render(pages[:middle]) + self.render(pages[middle:])

    def dump(self, page: str) -> str:
        """Any whole page as Lynx lays it out with the published flags. Raises `LynxError`."""
        return self._run(page.replace("\x00", ""), margins=True)

    def _together(self, pages: Sequence[str]) -> list[str]:
        """The text of every page, rendered by one process."""
        word = "zqsep"  # made longer until no page contains it
        while any(word in page for page in pages):
            word += "q"
        separated = "".join(f"<p>{word}x{i}qz</p>\n<div>{page}</div>\n" for i, page in enumerate(pages))
        end = f"<p>{word}x{len(pages)}qz</p>"
        text = self._run(f"<html><head><title></title></head><body>{separated}{end}</body></html>")
        parts = re.split(rf"^[ \t]*{word}x(\d+)qz[ \t]*$", text, flags=re.MULTILINE)
        if parts[1::2] != [str(i) for i in range(len(pages) + 1)]:
            raise LynxError(f"Lynx returned {len(parts) // 2} of {len(pages) + 1} separators")
        return [_tidy(part) for part in parts[2:-1:2]]

    def _run(self, markup: str, *, margins: bool = False) -> str:
        folder = _workplace()
        flags = [*PUBLISHED, *SAFE, *([] if margins else ["-nomargins"]), f"-cfg={folder / 'lynx.cfg'}"]
        environment = {
            "HOME": str(folder), "LYNX_TEMP_SPACE": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8",
            "PATH": "/usr/bin:/bin",
        }  # fmt: skip
        process = subprocess.Popen(
            [find(), *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
        )
        with contextlib.suppress(ProcessLookupError, PermissionError):
            seconds = int(self.timeout_s) + 1
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (seconds, seconds))
            resource.prlimit(process.pid, resource.RLIMIT_AS, (self.memory, self.memory))
        try:
            output, errors = process.communicate(markup.encode("utf-8", "replace"), timeout=self.timeout_s)
        except subprocess.TimeoutExpired:
            raise LynxError(f"Lynx took longer than {self.timeout_s:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if process.returncode:
            raise LynxError(f"Lynx ended with {process.returncode}: {errors.decode(errors='replace')[:300]}")
        return output.decode("utf-8", "replace")


def _workplace() -> Path:
    """The folder in which this process runs Lynx, with its configuration. It is removed when the process ends.

    Folders of killed processes are removed by the next process.
    """
    pid = os.getpid()
    if pid in _WORKPLACES and (_WORKPLACES[pid] / "lynx.cfg").exists():
        return _WORKPLACES[pid]
    around = Path(tempfile.gettempdir(), f"nemotron-lynx-{os.getuid()}")
    around.mkdir(mode=0o700, exist_ok=True)
    if around.is_symlink() or around.stat().st_uid != os.getuid():
        raise LynxError(f"{around} belongs to another user: remove it or set TMPDIR")
    for left in around.iterdir():
        if left.name.isdigit() and not Path("/proc", left.name).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = around / str(pid)
    folder.mkdir(exist_ok=True)
    (folder / "lynx.cfg").write_text(_CONFIG)
    _WORKPLACES[pid] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_WORKPLACES: dict[int, Path] = {}


def _tidy(text: str) -> str:
    """A page's text without the line breaks of Lynx in long lines, and without blank lines before and after it."""
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
