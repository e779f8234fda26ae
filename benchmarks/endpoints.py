"""Three endpoints, of which one is slow and one fails, answer as fast as the two that answer do alone, together.

Three local servers speak the OpenAI protocol: a quick one, one that takes ten times as long for an answer, and one that
fails every request. The rate of each of the two that answer is measured alone, through the same engine and ledger. Then
all three are asked together, and once more by a process that is killed (kill -9) in the middle and started again. The
claims:

 - the rate of all three is at least 0.9 of the sum of the two rates;
 - no answer is paid for twice: every request got one completion, and a request whose answer was in the journal at the
   kill is not sent again. (Answers that were on the way at the kill are counted apart.)

--quick asks a quarter of the requests.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Claim, table, verdict

#: Seconds of an answer and answers at a time, of the quick and of the slow server.
_QUICK, _SLOW = (0.25, 16), (2.5, 16)
_SECONDS = 30.0  # that each measurement takes
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
    parser.add_argument("--quick", action="store_true", help="ask a quarter of the requests")
    options = parser.parse_args(argv)
    seconds = _SECONDS / 4 if options.quick else _SECONDS
    with tempfile.TemporaryDirectory(prefix="nemotron-endpoints-") as name, servers(Path(name)) as (quick, slow, bad):
        os.environ["NEMOTRON_HOME"] = name
        expected = {server.name: slots / took for server, (took, slots) in ((quick, _QUICK), (slow, _SLOW))}
        rows, rates = [], {}
        for server in (quick, slow):
            number = int(expected[server.name] * seconds)
            rates[server.name] = rate = timed(Path(name), server.name, [server], number)
            rows.append([f"{server.name} alone", number, rate, "", ""])
        number = int(sum(rates.values()) * seconds)
        before = [server.paid for server in (quick, slow)]
        rate = timed(Path(name), "all", [quick, slow, bad], number)
        paid = [server.paid - former for server, former in zip((quick, slow), before, strict=True)]
        rows.append(["all three", number, rate, *(sum(counts.values()) for counts in paid)])
        twice = sum(count - 1 for count in sum(paid, Counter()).values())
        before = [server.paid for server in (quick, slow)]
        again, in_flight = killed(Path(name), [quick, slow, bad], number)
        paid = [server.paid - former for server, former in zip((quick, slow), before, strict=True)]
        rows.append(["all three, killed", number, "", *(sum(counts.values()) for counts in paid)])
    print(table(["endpoints", "requests", "answers per second", "quick", "slow"], rows))
    print(f"\nRequests on the way at the kill, which were sent again: {in_flight}")
    return verdict(
        [
            Claim("rate of all three, of the sum of both rates", rate / sum(rates.values()), at_least=_BAR),
            Claim("answers that were paid for twice", float(twice), at_most=0),
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
    """Answers per second of `number` requests to these servers."""
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
