"""A lake whose commands were killed ends equal to the unbroken one, and no answer of a language model is paid twice.

`make bench NAME=faults` kills commands at 500 random moments and stops them by SIGINT or SIGTERM at ten; a campaign
that was interrupted goes on where it stopped. ARGS=--quick makes it 20 kills and the ten stops. Commands: the first use
of an empty home, ingestion, text and deduplication, a late snapshot that rewrites later ones, annotations through an
endpoint, training, maintenance. Targets: the whole process group, the parent alone, one worker.

After each kill the same command runs again. Then the rows of every partition of every table must be those of the
unbroken run, and so must the data versions that Dagster has; no request whose answer was stored may have been sent
again; no process, unfinished run or taken pool slot may be left. A stopped command must also end within 5 s with the
exit code 130 and one sentence.

ARGS="--only 17" repeats one kill, at the same moment of the same command. The home of a kill that shows a difference is
kept below benchmarks/.data/faults.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import _faults_daemon
from benchmarks._faults_kill import Kill, Moment, Run, draw, left_behind, play
from benchmarks._faults_scenes import PROJECT, SCENES, Scene, Stage, answer, fill_shards, paid_for, requests_of
from benchmarks._faults_state import differences, state
from benchmarks.harness import table
from tests.resources.endpoint import Endpoint

DATA = Path(__file__).resolve().parent / ".data" / "faults"
KILLS, QUICK, STOPS = 500, 20, range(501, 511)
#: The scenes that kills take in turn; those at which most can go wrong come twice.
TURNS = (
    "first use", "ingest", "web", "dedup", "generate", "train", "maintain", "replace", "dedup", "daemon",
)  # fmt: skip
#: Who is killed, in turn; the turn shifts from one round of the scenes to the next, so that each scene meets all.
TARGETS = ("group", "parent", "worker", "group", "parent")
STOPPED_WITHIN_S = 5.0
_TRIES = 6  # draws of a moment before which the command had ended, because a run may be faster than the unbroken one


@dataclass
class Unbroken:
    """What a scene's command does when nothing interrupts it."""

    events: list[float]
    seconds: float
    workers: bool
    state: dict[str, str]
    requests: list[int]


@dataclass
class Result:
    """One kill: what was done, what was found wrong afterwards, and how long the runs after it took, in seconds."""

    number: int
    scene: str
    signal: str
    target: str
    event: int
    offset: float
    outcome: str = ""
    recovered: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        moment = str(Moment(self.event, self.offset))
        verdict = "; ".join(self.wrong) or "equal"
        return (
            f"{self.number:>4}  {self.scene:<10} {self.signal:<8} {self.target:<7} {moment:<22} {self.outcome:<26}"
            f" {self.recovered:>6.1f}  {verdict[:2000]}"
        )


class Campaign:
    """Prepares the scenes, once, and kills their commands. `endpoint` answers for the language model."""

    def __init__(self, folder: Path, endpoint: Endpoint, url: str, seed: int = 0) -> None:
        self.stage, self.endpoint, self.seed = Stage(folder, url), endpoint, seed
        self._unbroken: dict[str, Unbroken] = {}

    def unbroken(self, scene: Scene) -> Unbroken:
        """The unbroken run of a scene; it is played, after the scenes before it, if it has not been yet."""
        if scene.name not in self._unbroken:
            facts = self.stage.prepared(scene.name).with_suffix(".json")
            if not facts.is_file():
                facts.write_text(json.dumps(asdict(self._play_unbroken(scene))))
            self._unbroken[scene.name] = Unbroken(**json.loads(facts.read_text()))
        return self._unbroken[scene.name]

    def _play_unbroken(self, scene: Scene) -> Unbroken:
        if scene.after == "shards":
            fill_shards(self.stage.home)
            self.stage.keep("shards")
        elif scene.after:
            self.unbroken(SCENES[scene.after])
        self.stage.set_up(scene)
        asked = len(self.endpoint.bodies)
        run = play(self.stage.start(scene.arguments), self.stage.home, None, timeout=900)
        if run.code:
            raise RuntimeError(f"the unbroken run of {scene.name!r} ended with {run.code}:\n{run.output[-4000:]}")
        if left := left_behind(self.stage.home):
            raise RuntimeError(f"the unbroken run of {scene.name!r} left processes: {'; '.join(left)}")
        requests = requests_of(self.endpoint.bodies[asked:])
        unbroken = Unbroken(run.events, run.seconds, run.workers, state(self.stage.home), requests)
        self.stage.keep(scene.name)
        return unbroken

    def kill(self, number: int) -> Result:
        """Play, kill and recover the kill of this number; its home is kept when something was wrong."""
        for attempt in range(_TRIES):
            rng, stop = random.Random(f"{self.seed}:{number}:{attempt}"), number in STOPS
            name = TURNS[(number - 1) % len(TURNS)]
            if name == "daemon" and not stop:
                return self.kill_daemon(number, rng)
            scene = SCENES["generate" if name == "daemon" else name]
            unbroken = self.unbroken(scene)
            how = signal.SIGKILL if not stop else rng.choice([signal.SIGINT, signal.SIGTERM])
            target = TARGETS[(number + number // len(TURNS)) % len(TARGETS)]
            if how == signal.SIGTERM or (target == "worker" and (stop or not unbroken.workers)):
                target = "parent"
            moment = draw(rng, unbroken.events, unbroken.seconds, early=scene.name in ("first use", "ingest"))
            result = self.play(scene, Kill(how, target, moment), number)
            if result.outcome != "ended first":
                return result
        return result

    def play(self, scene: Scene, kill: Kill, number: int = 0) -> Result:
        """Set a scene up, do to its command what `kill` says, run the command again, and compare."""
        unbroken, home = self.unbroken(scene), self.stage.home
        self.stage.set_up(scene)
        first, paid = len(self.endpoint.bodies), {}
        limit = 60 + 10 * unbroken.seconds

        def before() -> None:
            paid["stored"] = paid_for(home)

        killed = play(self.stage.start(scene.arguments), home, kill, limit, before)
        result = Result(
            number, scene.name, kill.signal.name, kill.target, kill.moment.event, round(kill.moment.seconds, 3)
        )
        # The command had ended, and Python was ending: a signal then changes nothing.
        if not killed.hit or (kill.signal != signal.SIGKILL and killed.code == 0):
            result.outcome = "ended first"
            return result
        again = len(self.endpoint.bodies)
        result.outcome = f"ended with {killed.code} in {killed.stopped_after:.1f} s"
        if kill.signal != signal.SIGKILL:
            result.wrong += _stopped_badly(killed, kill)
        runs = []
        while (killed if not runs else runs[-1]).code != 0 and len(runs) < 3:
            runs.append(play(self.stage.start(scene.arguments), home, None, limit))
        result.recovered = sum(run.seconds for run in runs)
        result.wrong += [
            f"the run after it ended with {run.code}: {_last_line(run.output)}" for run in runs if run.code
        ]
        result.wrong += [f"left running: {name}" for name in left_behind(home)]
        result.wrong += differences(unbroken.state, state(home))
        result.wrong += self._paid_twice(first, again, paid["stored"], set(unbroken.requests))
        if result.wrong:
            self._keep_broken(number, killed, runs)
        return result

    def kill_daemon(self, number: int, rng: random.Random) -> Result:
        """Kill the daemon, or the whole UI, during its run; start it again; then finish the training and compare."""
        scene, home = SCENES["train"], self.stage.home
        unbroken = self.unbroken(scene)
        quiet = self.stage.prepared("daemon")
        if not quiet.is_dir():
            self.stage.set_up(scene)
            _faults_daemon.stop_sensors(self.stage)
            self.stage.keep("daemon")
        self.stage.set_up(Scene("daemon", "", (), after="daemon"))
        target, outcome, recovered, wrong = _faults_daemon.kill_daemon(self.stage, rng)
        result = Result(number, "daemon", "SIGKILL", target, 0, 0.0, outcome, recovered, wrong)
        run = play(self.stage.start(scene.arguments), home, None, 60 + 10 * unbroken.seconds)
        if run.code:
            result.wrong.append(f"the run after it ended with {run.code}: {_last_line(run.output)}")
        result.wrong += [f"left running: {name}" for name in left_behind(home)]
        result.wrong += differences(unbroken.state, state(home))
        if result.wrong:
            self._keep_broken(number, run, [])
        return result

    def _paid_twice(self, first: int, again: int, stored: set[int], expected: set[int]) -> list[str]:
        """What is wrong with the requests from number `first` on; those from `again` on came after the kill."""
        sent = requests_of(self.endpoint.bodies[first:])
        twice = stored & set(requests_of(self.endpoint.bodies[again:]))
        wrong = [f"{len(twice)} answers that were stored were asked for again"] if twice else []
        often = [request for request, times in Counter(sent).items() if times > 2]
        wrong += [f"{len(often)} requests were sent more than twice"] if often else []
        if unknown := set(sent) - expected:
            wrong.append(f"{len(unknown)} requests were sent that the unbroken run does not send")
        return wrong

    def _keep_broken(self, number: int, killed: Run, runs: Sequence[Run]) -> None:
        folder = self.stage.folder / "broken" / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.stage.home.rename(folder / "home")
        for name, run in [("killed", killed), *((f"again-{n}", run) for n, run in enumerate(runs, 1))]:
            (folder / f"{name}.log").write_text(run.output)


def _stopped_badly(run: Run, kill: Kill) -> list[str]:
    """What is wrong with how a command ended after SIGINT or SIGTERM."""
    wrong = []
    if run.stopped_after > STOPPED_WITHIN_S:
        wrong.append(f"it took {run.stopped_after:.1f} s to stop")
    # Before Python has started the program, the program cannot catch a signal: the system or Python ends the process.
    if kill.moment.event == 0 and run.code == -kill.signal and not run.output:
        return wrong
    if kill.moment.event == 0 and run.code == 1 and "init_import_site" in run.output:
        return wrong
    if run.code != 130:
        wrong.append(f"its exit code is {run.code} instead of 130")
    if "Traceback" in run.output or not _last_line(run.output).startswith("stopped"):
        wrong.append(f"it ended with {_last_line(run.output)!r} instead of one sentence")
    return wrong


def _last_line(output: str) -> str:
    return next((line for line in reversed(output.splitlines()) if line.strip()), "")[:300]


def program() -> str:
    """A hash of the program, which a campaign belongs to: results of another program say nothing about this one."""
    content = hashlib.sha256()
    for folder in ("nemotron_assets", "resources", "sql", "benchmarks"):
        for path in sorted((PROJECT / folder).rglob("*")):
            own = folder != "benchmarks" or path.name.startswith(("faults", "_faults"))
            if own and path.suffix in (".py", ".sql", ".yaml") and ".data" not in path.parts:
                content.update(path.read_bytes())
    return content.hexdigest()[:12]


def done_before(progress: Path, seed: int) -> dict[int, Result]:
    """The results of a campaign that was interrupted; a line that was cut off is skipped."""
    found = {}
    for line in progress.read_text().splitlines() if progress.is_file() else ():
        try:
            facts = json.loads(line)
        except ValueError:
            continue
        if facts.pop("seed") == seed:
            found[facts["number"]] = Result(**facts)
    return found


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench NAME=faults", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} kills instead of {KILLS}, and the ten stops")
    parser.add_argument("--only", type=int, metavar="N", help="repeat one kill, and keep its home if it differs")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other moments")
    parser.add_argument("--restart", action="store_true", help="forget the results of a campaign that was interrupted")
    args = parser.parse_args(argv)
    folder, endpoint = DATA / program(), Endpoint(answer)
    for other in DATA.glob("*"):
        if other != folder and time.time() - other.stat().st_mtime > 7 * 24 * 3600:
            shutil.rmtree(other)
    progress = folder / "progress.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    if args.restart:
        progress.unlink(missing_ok=True)
    done = {} if args.only else done_before(progress, args.seed)
    numbers = [args.only] if args.only else [*range(1, (QUICK if args.quick else KILLS) + 1), *STOPS]
    print(f"{'no':>4}  {'command':<10} {'signal':<8} {'target':<7} {'moment':<22} {'outcome':<26} {'again':>6}  lake")
    with endpoint.serve() as url:
        campaign = Campaign(folder, endpoint, url, args.seed)
        for number in numbers:
            if number not in done:
                done[number] = campaign.kill(number)
                if not args.only:
                    with progress.open("a") as file:
                        file.write(json.dumps(asdict(done[number]) | {"seed": args.seed}) + "\n")
            print(done[number].line(), flush=True)
    return report([done[number] for number in numbers], folder)


def report(results: Sequence[Result], folder: Path) -> int:
    """Print the results by command, and the verdict."""
    rows = []
    for name in dict.fromkeys(TURNS):
        of = [result for result in results if result.scene == name]
        kinds = Counter("stopped" if r.signal != "SIGKILL" else r.target.replace("daemon", "parent") for r in of)
        counts = [kinds[kind] for kind in ("group", "parent", "worker", "stopped")]
        slowest = max((result.recovered for result in of), default=0.0)
        what = SCENES[name].what if name in SCENES else "a run of the daemon, killed with it"
        rows.append([name, what, *counts, sum(bool(r.wrong) for r in of), slowest])
    header = ["command", "what it does", "group", "parent", "worker", "stopped", "different", "slowest recovery, s"]
    print("\n" + table(header, rows))
    wrong, missed = [r for r in results if r.wrong], [r for r in results if r.outcome == "ended first"]
    for result in wrong:
        print(f"\nkill {result.number} ({result.scene}), repeat it with --only {result.number}:")
        print("\n".join(f"  {sentence}" for sentence in result.wrong))
    if missed:
        print(f"\n{len(missed)} kills came too late, because the command had ended: {[r.number for r in missed]}")
    if wrong:
        print(f"\nDOES NOT HOLD: {len(wrong)} of {len(results)} kills show a difference; homes are in {folder}/broken")
        return 1
    print(f"\nHolds: after {len(results)} kills every lake equals the unbroken one, and no answer was paid for twice.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
