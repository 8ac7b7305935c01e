"""A rank that dies or hangs ends all, and is named."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from mssdf.engine import WatchdogHook
from mssdf.engine.phases import CHECKPOINT, DATA, END, STEP
from mssdf.engine.watchdog import (
    FAILED,
    GAVE_UP,
    Beat,
    alive,
    find_culprit,
    is_broken_communication,
)

sys.path.insert(0, str(Path(__file__).parent))
from hurt_ranks import Ranks  # noqa: E402

LIMITS = dict(silence=20.0, timeout=60.0, long_timeout=600.0)


def beat(phase: str, age: float = 1.0, iteration: int = 7, **changed) -> Beat:
    return Beat(1, iteration, phase, age, 'node1', 123, **changed)


def judge(*beats, silences=None, dead=()) -> str | None:
    silences = silences or [1.0] * len(beats)
    return find_culprit(
        dict(enumerate(beats)),
        dict(enumerate(silences)),
        **LIMITS,
        is_alive=lambda beat: beat.pid not in dead,
    )


def test_nothing_is_wrong():
    assert judge(beat(STEP), beat(DATA)) is None
    # long, but allowed to: the others wait for rank 0's checkpoint
    assert judge(beat(CHECKPOINT, 300), beat(STEP, 300)) is None
    # a rank that has ended says no more
    assert judge(beat(STEP), beat(END, 900), silences=[1, 900]) is None
    assert judge(None, None) is None  # just begun
    assert judge(beat(STEP, 61), beat(STEP, 2)) is None  # one of them moves


def test_names_the_one_that_holds_up_the_others():
    slow = judge(beat(STEP, 70), beat(DATA, 61), beat(STEP, 70))
    assert slow == (
        'rank 1 (host node1, process 123, after iteration 7, waiting for data) hangs: in this '
        'phase for 61 s'
    )
    assert judge(beat(CHECKPOINT, 601), beat(STEP, 650)).startswith('rank 0 (')
    behind = judge(beat(STEP, 70), beat(STEP, 70), beat(STEP, 71, iteration=6))
    assert behind.startswith('rank 2 (host node1, process 123, after iteration 6, step) hangs')
    assert judge(beat(STEP, 70), beat(STEP, 61)).startswith('all ranks hang in the step after')


def test_names_the_dead_and_the_failed():
    silent = judge(beat(STEP, 70), beat(STEP, 3), silences=[1, 21])
    assert silent.startswith('rank 1 (') and 'no sign of life for 21 s' in silent
    assert judge(beat(STEP), None, silences=[1, 21]).startswith('rank 1 is dead or stopped')
    gone = judge(beat(STEP), Beat(1, 7, STEP, 1, 'h', 99), dead=[99])
    assert gone.startswith('rank 1 (host h, process 99') and 'process is gone' in gone
    # the cause goes before what follows from it
    failed = judge(beat(STEP), beat(STEP), beat(FAILED, note='ValueError: no'), silences=[1, 30, 1])
    assert failed.startswith('rank 2 (') and failed.endswith(': ValueError: no')
    # so does what another rank has found out and ended for
    assert judge(Beat(1, 7, STEP, 1, 'h', 99), beat(GAVE_UP, note='rank 3 hangs'), dead=[99]) == (
        'rank 3 hangs'
    )


def test_a_process_that_is_gone():
    process = subprocess.Popen(['sleep', '60'])
    there = Beat(1, 0, STEP, 0, socket.gethostname(), process.pid)
    assert alive(there)
    process.send_signal(signal.SIGSTOP)
    assert alive(there)  # hangs, but is not gone
    process.kill()
    while alive(there):  # a zombie is gone
        time.sleep(0.01)
    process.wait()
    assert not alive(there)
    assert alive(Beat(1, 0, STEP, 0, 'another-host', process.pid))  # not seen from here


def test_errors_that_follow_from_others():
    assert is_broken_communication(
        RuntimeError('[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed')
    )
    assert not is_broken_communication(ValueError('connection'))
    assert not is_broken_communication(RuntimeError('shapes do not match'))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [(dict(timeout=0), 'timeout: expected seconds above 0'), (dict(silence=5), 'two intervals')],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        WatchdogHook(**settings)


def quick(config: Config, folder) -> str:
    """Seconds in place of minutes, and an end that is far away."""
    config.train_dataloader.batch_size = 1
    config.train_cfg.max_epochs = 500
    config.custom_hooks.append(
        dict(type='mssdf.WatchdogHook', interval=0.5, silence=8, timeout=40, long_timeout=120)
    )
    path = folder / 'watched.py'
    config.dump(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ('hurt', 'signum'), [(1, signal.SIGKILL), (0, signal.SIGSTOP)], ids=['killed', 'stopped']
)
def test_the_other_rank_ends_and_names_it(tiny_config, tmp_path, hurt, signum):
    """Rank 0 holds the store through which the ranks hear of each other."""
    with Ranks(quick(tiny_config, tmp_path), tmp_path / 'run', 2) as ranks:
        ranks.wait_for('[1][4/6]')
        os.kill(ranks.processes[hurt].pid, signum)
        (code,) = ranks.wait(1 - hurt)
        said = ranks.said(1 - hurt)
        assert code == 1, said
        line = f'rank {1 - hurt} ends: rank {hurt} (host {socket.gethostname()}, process '
        assert said.count(line) == 1, said
        assert 'after iteration' in said.partition(line)[2].splitlines()[0]
