"""How `nemotron` ends when it is told to stop, or when nobody reads its output any more. Imports only what is loaded in
a few milliseconds."""

from __future__ import annotations

import os
import select
import signal
import sys
from types import FrameType

STOPPED = "stopped; finished work is in the lake: run the same command again to go on"

#: The exit status of a program that was stopped.
EXIT_STATUS = 130

#: The exit status of a program whose output nobody reads, as of other programs that the signal SIGPIPE ends.
UNREAD = 128 + signal.SIGPIPE


def handle() -> None:
    """From now on SIGINT (Ctrl-C) and SIGTERM stop the program."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt. While a module is imported, end the process instead: compiled modules turn the exception
    into another error, or lose it."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, f"{STOPPED}\n".encode())
            os._exit(EXIT_STATUS)
        frame = frame.f_back
    raise KeyboardInterrupt


def is_unread() -> bool:
    """Whether nobody reads the standard output, or the errors, any more, as after `nemotron tables | head -1`."""
    return bool(_unread())


def end_unread() -> None:
    """End the program without a word, as what it would still print can reach nobody."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in _unread():  # Python prints what waits in its buffers
        os.dup2(nowhere, descriptor)
    sys.exit(UNREAD)


def _unread() -> list[int]:
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return [descriptor for descriptor, events in poll.poll(0) if events & select.POLLERR]
