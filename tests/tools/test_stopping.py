"""Tools that stop whole, and folders that one call at a time writes to."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mssdf.cli.folder_lock import lock_folder
from mssdf.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
POOL = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from mssdf.cli.stopping import Stopped, follow_parent, stop_on_signals

def work(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == '__main__':
    spawn = get_context('spawn')
    try:
        with stop_on_signals(), ProcessPoolExecutor(2, spawn, initializer=follow_parent) as pool:
            list(pool.map(work, sys.argv[1:]))
    except Stopped as stopped:
        sys.exit(stopped.exit_code)
"""
HOLDER = """
import sys, time
from pathlib import Path
from mssdf.cli.folder_lock import lock_folder

with lock_folder(Path(sys.argv[1])):
    Path(sys.argv[1], 'held').touch()
    time.sleep(600)
"""


def wait_for(ready: Callable[[], bool], seconds: float = 300) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ('signum', 'status'), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_signal_to_the_parent_alone_ends_its_workers(signum, status, tmp_path):
    """They would sleep for ten minutes; of SIGKILL the parent itself knows nothing."""
    script, notes = tmp_path / 'pool.py', [tmp_path / 'a', tmp_path / 'b']
    script.write_text(POOL)
    parent = subprocess.Popen([sys.executable, str(script), *map(str, notes)], cwd=ROOT)
    try:
        wait_for(lambda: all(note.exists() and note.read_text() for note in notes))
        workers = [int(note.read_text()) for note in notes]
        os.kill(parent.pid, signum)
        assert parent.wait(timeout=60) == status
        wait_for(lambda: not any(map(runs, workers)), seconds=60)
    finally:
        parent.kill()
        parent.wait()


def test_a_folder_has_one_writer(tmp_path):
    holder = subprocess.Popen([sys.executable, '-c', HOLDER, str(tmp_path / 'out')], cwd=ROOT)
    try:
        wait_for((tmp_path / 'out/held').exists)
        with pytest.raises(UsageError, match=f'--out .*in use by process {holder.pid} on'):
            with lock_folder(tmp_path / 'out'):
                pass
        with lock_folder(tmp_path / 'other'):
            pass
    finally:
        holder.kill()
        holder.wait()
    with lock_folder(tmp_path / 'out'), pytest.raises(UsageError, match=f'process {os.getpid()}'):
        with lock_folder(tmp_path / 'out'):
            pass
