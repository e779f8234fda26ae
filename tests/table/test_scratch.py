"""Temporary folders of processes that were killed do not stay."""

import os
import signal
import subprocess
import sys

from nemotron_assets.table.scratch import scratch_folder

_PROGRAM = """
import pathlib, sys
from nemotron_assets.table.scratch import scratch_folder
with scratch_folder("texts-", pathlib.Path(sys.argv[1])) as folder:
    (folder / "text").write_text("private")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_of_a_killed_process_goes_and_one_in_use_stays(tmp_path):
    (tmp_path / "texts-of-somebody").mkdir()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(tmp_path)], **pipes)
    left = process.stdout.readline().strip()
    with scratch_folder("texts-", tmp_path) as own, scratch_folder("texts-", tmp_path) as other:
        assert sorted(os.listdir(tmp_path)) == sorted(
            ["texts-of-somebody", own.name, other.name, os.path.basename(left)]
        )
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert os.path.exists(f"{left}/text")
    with scratch_folder("other-", tmp_path):
        assert os.path.exists(left)
    with scratch_folder("texts-", tmp_path) as own:
        assert sorted(os.listdir(tmp_path)) == sorted(["texts-of-somebody", own.name])
    assert os.listdir(tmp_path) == ["texts-of-somebody"]
