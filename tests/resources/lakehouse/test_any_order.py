"""Whatever is written, dropped, changed, compacted and vacuumed, in whatever order: the lake equals a fresh one."""

import shutil
import tempfile

import polars as pl
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nemotron_assets.lake.upkeep import maintain_table
from nemotron_assets.recipe.lake import Maintenance
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.resources.lakehouse.rows import DOCS, docs

SNAPSHOTS = st.sampled_from(["A", "B c%20ü"])
NAMES = ["x", "y", "z", ""]
NUMBERS = st.lists(st.integers(0, 9), max_size=3, unique=True)
FILES = st.dictionaries(st.sampled_from(NAMES), NUMBERS)
UPKEEP = Maintenance.model_construct(target_file_mb=1, min_files=2, retention_hours=0)


def parts(snapshot: str, files: dict[str, list[int]], complete: bool = True) -> Parts:
    """One part per file. A file without numbers is a part with one rejected row and no other."""
    rejects = Rejects()

    def make(file: str) -> pl.DataFrame:
        if not files[file]:
            rejects.add(Reject(f"row of {file}", "empty"))
        return docs(snapshot, file, files[file]) if files[file] else docs(snapshot, file, [0]).clear()

    made = [Part(file, str(sorted(numbers)), lambda file=file: make(file)) for file, numbers in files.items()]
    return Parts(made, rejects=rejects, complete=complete)


class AnyOrder(RuleBasedStateMachine):
    """A lake, and what it must hold: numbers by file by snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="nemotron-any-order-")
        self.lake = Lakehouse(root=f"{self.folder}/lake", free_disk_mb=0)
        self.held: dict[str, dict[str, list[int]]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def fresh(self, snapshot: str) -> str:
        """The data version of a snapshot that is written to an empty lake at once."""
        lake = Lakehouse(root=tempfile.mkdtemp(dir=self.folder), free_disk_mb=0)
        return lake.write(DOCS, parts(snapshot, self.held[snapshot]), snapshot).data_version

    @rule(snapshot=SNAPSHOTS, files=FILES, force=st.booleans())
    def ingest(self, snapshot, files, force):
        """Other files than before: some stay, some change, some drop out."""
        self.held[snapshot] = files
        result = self.lake.write(DOCS, parts(snapshot, files), snapshot, force=force)
        assert result.data_version == self.fresh(snapshot)
        assert result.rejected == ({"empty": n} if (n := sum(not numbers for numbers in files.values())) else {})

    @rule(snapshot=SNAPSHOTS, files=FILES)
    def add_or_change(self, snapshot, files):
        self.held[snapshot] = {**self.held.get(snapshot, {}), **files}
        self.lake.write(DOCS, parts(snapshot, files, complete=False), snapshot)

    @initialize(files=st.dictionaries(st.sampled_from(NAMES), st.lists(st.integers(0, 9), min_size=1), min_size=3))
    def first(self, files):
        """The lake begins with three files, so that there is something to drop and to change."""
        self.ingest("A", {file: sorted(set(numbers)) for file, numbers in files.items()}, False)

    @rule(snapshot=SNAPSHOTS, data=st.data())
    def drop(self, snapshot, data):
        """A file drops out, and the others stay."""
        if held := self.held.get(snapshot):
            gone = data.draw(st.sampled_from(sorted(held)))
            self.ingest(snapshot, {file: numbers for file, numbers in held.items() if file != gone}, False)

    @rule(snapshot=SNAPSHOTS, data=st.data(), numbers=NUMBERS)
    def change(self, snapshot, data, numbers):
        """The rows of a file change, and the others stay."""
        if held := self.held.get(snapshot):
            self.ingest(snapshot, {**held, data.draw(st.sampled_from(sorted(held))): numbers}, False)

    @rule()
    def maintain(self):
        """Compact, and vacuum without any retention."""
        if delta := self.lake.open(DOCS):
            maintain_table(self.lake, DOCS, delta, UPKEEP, (), dry_run=False)

    @rule()
    def reopen(self):
        self.lake = Lakehouse(root=self.lake.root, free_disk_mb=0)

    @rule()
    def checkpoint(self):
        if delta := self.lake.open(DOCS):
            delta.create_checkpoint()

    @invariant()
    def the_rows_are_those_that_were_written(self):
        wanted = sorted(
            (snapshot, file, n) for snapshot, files in self.held.items() for file in files for n in files[file]
        )
        reader = self.lake.read(DOCS)
        assert sorted(reader.scan().select("snapshot", "file", "n").collect().rows()) == wanted
        assert sum(batch.num_rows for batch in reader.batches(["n"])) == reader.rows == len(wanted)
        for snapshot in self.held:
            part = reader.within(snapshot)
            files = {file for file, numbers in self.held[snapshot].items() if numbers}
            assert set(part.parts()) == files
            for file in files:
                found = [n for batch in part.part(file).batches(["n"]) for n in batch.column(0).to_pylist()]
                assert sorted(found) == sorted(self.held[snapshot][file])

    @invariant()
    def the_rejects_are_those_of_the_stored_parts(self):
        rows = self.lake.read(QUARANTINE).scan().select("partition", "part").collect().rows()
        empty = ((snapshot, file) for snapshot, files in self.held.items() for file in files if not files[file])
        assert sorted(rows) == sorted(empty)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=15, stateful_step_count=12)
