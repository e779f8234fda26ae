"""Three endpoints, of which one is slow and one fails, answer as fast as the two that answer do alone, together.

Three local servers speak the OpenAI protocol: a quick one, one that takes ten times as long for an answer, and one that
fails every request. The rate of each of the two that answer is measured alone, and then that of all three, through the
same engine and ledger, in rounds. Then all three are asked by a process that is killed (kill -9) in the middle and
started again. The claims:

 - the rate of all three is at least 0.9 of the sum of the two rates (median over the rounds);
 - no answer is paid for twice: every request got one completion, and a request whose answer was in the journal at the
   kill is not sent again. (Answers that were on the way at the kill are counted apart.)

--quick has one round, with half as many requests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, alternate, table, verdict

#: Seconds of an answer and answers at a time, of the quick and of the slow server.
_QUICK, _SLOW = (0.25, 8), (2.5, 8)
_SECONDS, _ROUNDS = 25.0, 3  # seconds that each measurement takes
_BAR = 0.9


@dataclass
class Server:
    """A server and its folder (see _endpoint_server.py)."""

    name: str
    folder: Path
    slots: int

    @property
    def paid(self) -> Counter:
        """How often each request got a whole completion."""
        return Counter((self.folder / "paid").read_text().split())

    def settings(self) -> dict[str, Any]:
        """The endpoint in a recipe."""
        return {"name": self.name, "base_url": (self.folder / "port").read_text(), "concurrency": self.slots}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="endpoints", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round, with half as many requests")
    options = parser.parse_args(argv)
    seconds, rounds = (_SECONDS / 2, 1) if options.quick else (_SECONDS, _ROUNDS)
    with tempfile.TemporaryDirectory(prefix="nemotron-endpoints-") as name, servers(Path(name)) as three:
        os.environ["NEMOTRON_HOME"] = name
        quick, slow, _ = three
        expected = {"quick": _QUICK[1] / _QUICK[0], "slow": _SLOW[1] / _SLOW[0]}
        numbers = {name: int(rate * seconds) for name, rate in expected.items()}
        numbers["all"] = sum(numbers.values())
        timed(Path(name), "warm", [quick, slow], 4)
        rates = alternate(
            rounds,
            quick=lambda: timed(Path(name), "quick", [quick], numbers["quick"]),
            slow=lambda: timed(Path(name), "slow", [slow], numbers["slow"]),
            all=lambda: timed(Path(name), "all", three, numbers["all"]),
        )
        before = quick.paid + slow.paid
        again, in_flight = killed(Path(name), three, numbers["all"])
    rows = [[kind, numbers[kind], *map("{:.1f}".format, found)] for kind, found in rates.items()]
    print(table(["endpoints", "requests", *(f"answers/s, round {i + 1}" for i in range(rounds))], rows))
    print(f"\nRequests on the way at the kill, which were sent again: {in_flight}")
    shares = [both / (a + b) for both, a, b in zip(rates["all"], rates["quick"], rates["slow"], strict=True)]
    return verdict(
        [
            Claim("rate of all three, of the sum of both rates", statistics.median(shares), at_least=_BAR),
            Claim("answers that were paid for twice", float(sum(before.values()) - len(before)), at_most=0),
            Claim("answers in the journal at the kill that were paid for again", float(again), at_most=0),
        ]
    )


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[list[Server]]:
    """The quick, the slow and the failing server, each in a process of its own."""
    wanted = {"quick": (*_QUICK, "answers"), "slow": (*_SLOW, "answers"), "failing": (0, 16, "fails")}
    made, processes = [], []
    try:
        for name, (seconds, slots, kind) in wanted.items():
            own = folder / name
            own.mkdir()
            command = [sys.executable, "-m", "benchmarks._endpoint_server", str(own), str(seconds), str(slots), kind]
            with (own / "log").open("w") as log:  # it gets a traceback for every connection that is hung up
                processes.append(subprocess.Popen(command, stderr=log))
            made.append(Server(name, own, slots))
        deadline = time.monotonic() + 120
        while not all((server.folder / "port").exists() for server in made):
            if time.monotonic() > deadline:
                raise RuntimeError("the servers do not start")
            time.sleep(0.1)
        yield made
    finally:
        for process in processes:
            process.kill()
            process.wait()


def ledger(folder: Path, endpoints: Sequence[dict[str, Any]]) -> tuple[Any, Any]:
    """A ledger in this folder, and the engine over these endpoints."""
    from resources.generations import Ledger
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse

    gpu = Gpu(backend="openai", endpoints=list(endpoints), backoff_s=0.5, pause_s=10, timeout_s=60)
    return Ledger(Lakehouse(root=str(folder))), gpu.engine(folder, "bench", log=lambda said: print(said, flush=True))


def ask(folder: Path, name: str, endpoints: Sequence[dict[str, Any]], number: int) -> int:
    """Ask for `number` answers, all different; returns how many were new."""
    from resources.generations import Request, Sampling

    store, engine = ledger(folder, endpoints)
    requests = (Request("bench", (("user", f"{name}-{i}"),), Sampling(1.0, 1.0, 64)) for i in range(number))
    return sum(made.new for made in store.generate(engine, requests))


def timed(folder: Path, name: str, asked: Sequence[Server], number: int) -> float:
    """Answers per second of `number` requests to these servers, which were not asked before."""
    name = f"{name}-{uuid.uuid4().hex[:8]}"
    started = time.perf_counter()
    if ask(folder / f"lake-{name}", name, [server.settings() for server in asked], number) != number:
        raise RuntimeError(f"not all answers to {name} were new")
    return number / (time.perf_counter() - started)


def killed(folder: Path, asked: Sequence[Server], number: int) -> tuple[int, int]:
    """Ask for the same in a process that is killed after a third of the answers, and again: how many of the answers
    that were in the journal were paid for again, and how many others were."""
    job = json.dumps([str(folder / "lake-killed"), "killed", [server.settings() for server in asked], number])
    command = [sys.executable, "-c", f"from benchmarks.endpoints import ask; from pathlib import Path; a = {job}; "
               "ask(Path(a[0]), *a[1:])"]  # fmt: skip
    process = subprocess.Popen(command)
    while len(stored := journalled(folder)) < number // 3:
        if process.poll() is not None:
            raise RuntimeError("the process ended before it was killed")
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = journalled(folder)
    new = ask(folder / "lake-killed", "killed", [server.settings() for server in asked], number)
    if new != number - len(stored):
        raise RuntimeError(f"{new} answers were new, of {number}, although {len(stored)} were in the journal")
    counts = sum((server.paid for server in asked if (server.folder / "paid").exists()), Counter())
    twice = {text for text, count in counts.items() if text.startswith("killed-") and count > 1}
    return len(twice & stored), len(twice - stored)


def journalled(folder: Path) -> set[str]:
    """The questions whose answers are in a journal of the lake of the killed process."""
    found = set()
    for path in folder.glob("lake-killed/_ledger/*.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            if (text := json.loads(json.loads(line)["messages"])[0]["content"]).startswith("killed-"):
                found.add(text)
    return found
