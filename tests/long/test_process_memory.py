"""The watcher of memory, on processes whose memory is known."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from process_memory import ALLOCATOR_MIB, descendants, growth, look, open_files, watch

HOLD = 'import sys, time; held = bytearray({mib} << 20); held[::4096] = b"x" * len(held[::4096])'


@pytest.fixture
def python() -> Iterator[Callable[[str], subprocess.Popen]]:
    """Start Python on a few lines; it says a line when it is ready."""
    started = []

    def start(code: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, '-u', '-c', code], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == 'ready\n'
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(30)


def test_resident_memory_and_open_files_are_those_of_the_process(python, tmp_path):
    small = python(HOLD.format(mib=0) + '; print("ready"); time.sleep(60)')
    (tmp_path / 'a.tif').touch()
    large = python(
        HOLD.format(mib=64)
        + f'; kept = [open({str(tmp_path / "a.tif")!r}) for _ in range(5)]'
        + '; print("ready"); time.sleep(60)'
    )
    one, two = look(small.pid, time.monotonic()), look(large.pid, time.monotonic())
    assert two.main_mib - one.main_mib == pytest.approx(64, abs=2)
    assert two.pss_mib - one.pss_mib == pytest.approx(64, abs=4)
    assert two.main_files - one.main_files == 5
    assert open_files(large.pid).count(str(tmp_path / 'a.tif')) == 5


def test_children_and_theirs_are_counted(python):
    inner = HOLD.format(mib=32) + '; print("ready"); time.sleep(60)'
    outer = (
        'import subprocess, sys\n'
        f'p = subprocess.Popen([sys.executable, "-u", "-c", {inner!r}], stdout=subprocess.PIPE)\n'
        'p.stdout.readline(); print("ready"); p.wait()'
    )
    top = python(f'import subprocess, sys\nsubprocess.run([sys.executable, "-c", {outer!r}])')
    try:
        sample = look(top.pid, time.monotonic())
        assert sample.children == len(descendants(top.pid)) == 2
        assert sample.children_mib > 32
    finally:
        for pid in descendants(top.pid):
            subprocess.run(['kill', '-9', str(pid)], check=False)


def test_a_leak_is_seen_and_a_steady_process_is_not_blamed(python, tmp_path):
    steady = python(HOLD.format(mib=16) + '; print("ready"); time.sleep(60)')
    leak = python(
        'import time; held = []; print("ready")\n'
        'while True: held.append(bytes(range(256)) * 4096); time.sleep(0.1)'
    )
    results = []
    for process in (steady, leak):
        samples = watch(process.pid, 6, tmp_path / 'a.csv', every=0.2)
        assert len((tmp_path / 'a.csv').read_text().splitlines()) == len(samples) + 1 >= 20
        results.append(
            growth([sample.seconds for sample in samples], [sample.main_mib for sample in samples])
        )
    assert results[0].flat
    assert not results[1].flat
    # a MiB every 0.1 s; a busy machine sleeps longer, never shorter
    assert ALLOCATOR_MIB < results[1].grown <= 61


def test_a_slow_leak_is_seen_through_noise_and_peaks():
    rng = np.random.default_rng(0)
    seconds = np.arange(0, 2400, 10.0)
    noisy = 800 + rng.normal(0, 1.0, len(seconds))
    noisy[::17] += 60  # an evaluation
    assert growth(seconds, noisy).flat
    leak = growth(seconds, noisy + seconds * (30 / 3600))
    assert not leak.flat
    assert leak.per_hour == pytest.approx(30, abs=3)
