"""Makes hostile inputs for a reader, and checks that the reader ends soon and only with the errors it documents.

The inputs are changed copies of good ones, and pieces of the reader's language that are repeated as often as fits:
nested, unclosed, or one kind after another. Such repetitions are what makes a parser take quadratic or exponential
time. They are the same in every run.

A reader may take at most 20 times the CPU time that its middle input takes, and always half a second. CPU time is not
time on the clock, and an input that was too slow is tried again, so that a busy machine fails no test.
"""

from __future__ import annotations

import gc
import random
import resource
import signal
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

_TIMES, _ALWAYS_S, _GIVEN_UP_S = 20, 0.5, 5.0


def fuzz(
    read: Callable[[bytes], object],
    seeds: Sequence[bytes],
    pieces: Sequence[bytes],
    *,
    errors: tuple[type[Exception], ...] = (),
    changed: int = 120,
    repeated: int = 60,
    size: int = 32_768,
) -> None:
    """Give a reader `changed` changed seeds and `repeated` repetitions of pieces, of at most `size` bytes each."""
    rng = random.Random(0)
    inputs = [*seeds, *_changed(rng, seeds, pieces, changed, size), *_repeated(rng, pieces, repeated, size)]
    times = [_seconds(read, data, errors) for data in inputs]
    allowed = min(max(_ALWAYS_S, _TIMES * statistics.median(times)), _GIVEN_UP_S)
    for data, seconds in zip(inputs, times, strict=True):
        tries = 0
        while seconds > allowed and tries < 3:
            seconds, tries = min(seconds, _seconds(read, data, errors)), tries + 1
        assert seconds <= allowed, f"{seconds:.2f} s of CPU time, {allowed:.2f} s allowed, for {_shown(data)}"


class TooSlow(BaseException):
    """The reader was stopped. It is not an `Exception`, so that no reader takes it for a damaged input."""


def _seconds(read: Callable[[bytes], object], data: bytes, errors: tuple[type[Exception], ...]) -> float:
    """The CPU time, with that of child processes, that a reader takes for an input."""

    def stop(*_: object) -> None:
        raise TooSlow

    gc.disable()
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _GIVEN_UP_S)
    started = _used()
    try:
        read(data)
    except errors:
        pass
    except TooSlow:
        raise AssertionError(f"no end after {_GIVEN_UP_S} s of CPU time for {_shown(data)}") from None
    except BaseException as error:
        error.add_note(f"for the input {_shown(data)}")
        raise
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        gc.enable()
    return _used() - started


def _used() -> float:
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in found)


def _changed(
    rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes], count: int, size: int
) -> Iterator[bytes]:
    for _ in range(count):
        data = bytearray(rng.choice(seeds)[:size])
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 8, 64))
            match rng.randrange(7):
                case 0:
                    data[at : at + 1] = bytes([data[at] ^ 1 << rng.randrange(8)]) if at < len(data) else b""
                case 1:
                    data[at : at + length] = rng.randbytes(length)
                case 2:
                    del data[at : at + length]
                case 3:
                    data[at:at] = rng.choice(pieces) * rng.choice((1, 1, 3, 200))
                case 4:
                    data[at:at] = data[at : at + length] * 50
                case 5:
                    data[at:at] = rng.choice(
                        (b"\0", b"\xff", b"\xed\xa0\xbd", b"9" * 30, b"-1", b"\r\n", b"\xe2\x80\xa8")
                    )
                case 6:
                    other = rng.choice(seeds)
                    data[at:] = other[rng.randrange(len(other) + 1) :]
        if rng.random() < 0.1:
            del data[rng.randrange(len(data) + 1) :]
        yield bytes(data[:size])


def _repeated(rng: random.Random, pieces: Sequence[bytes], count: int, size: int) -> Iterator[bytes]:
    """First every piece repeated, then random patterns of several."""
    pieces = [piece for piece in pieces if piece]
    for number in range(max(count, len(pieces))):
        some = [pieces[number]] if number < len(pieces) else rng.choices(pieces, k=rng.randint(2, 4))
        head, *rest = some
        match rng.randrange(3) if rest else 0:
            case 0:
                data = b"".join(some) * (size // max(1, sum(map(len, some))))
            case 1:
                tail = b"".join(rest)
                data = head + tail * ((size - len(head)) // len(tail))
            case 2:
                data = b"".join(part * (size // len(some) // len(part)) for part in some)
        yield data[:size]


def _shown(data: bytes) -> str:
    """An input short enough to read, or the beginning of it."""
    return repr(data) if len(data) < 300 else f"{data[:200]!r}… ({len(data)} bytes)"


def first_bytes(parts: Iterable[bytes], most: int = 4 << 20) -> None:
    """Read at most about `most` bytes, as every caller that has a limit does."""
    size = 0
    for part in parts:
        size += len(part)
        if size > most:
            return
