"""Four ranks of which one dies, hangs or fails, with and without a launcher."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / 'engine'))
from hurt_ranks import ROOT, Ranks, free_port  # noqa: E402

FAULTY = """
import os, time
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class FaultyRank(Hook):
    def __init__(self, kind):
        self.kind = kind

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 5 and os.environ['RANK'] == '1':
            if self.kind == 'fails':
                raise ValueError('no such thing')

@HOOKS.register_module()
class SlowEvaluation(Hook):
    priority = 'LOW'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 3 and os.environ['RANK'] == '0':
            time.sleep(30)
"""


@pytest.fixture
def write(tmp_path, data_root):
    """Write a tiny config with a quick watchdog and some more hooks."""
    (tmp_path / 'faulty_ranks.py').write_text(FAULTY)

    def write_config(*hooks: dict, **changes) -> Path:
        tiny_dict = runpy.run_path(str(TESTS / 'engine' / 'conftest.py'))['tiny_dict']
        config = Config(tiny_dict(data_root))
        config.custom_imports = dict(imports=['mssdf', 'faulty_ranks'])
        config.train_dataloader.update(batch_size=1, **changes)
        config.train_cfg.max_epochs = 500
        watchdog = dict(interval=0.5, silence=10, timeout=12, long_timeout=200)
        config.custom_hooks += [dict(type='mssdf.WatchdogHook', **watchdog), *hooks]
        config.dump(tmp_path / 'four.py')
        return tmp_path / 'four.py'

    return write_config


@pytest.fixture(autouse=True)
def importable(tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{os.environ.get("PYTHONPATH", "")}')


def left_over(work_dir: Path) -> list[str]:
    """Processes of a run that are still there (data workers have its command line too)."""
    run = subprocess.run(
        ['pgrep', '-f', str(work_dir)], capture_output=True, text=True, check=False
    )
    return [pid for pid in run.stdout.split() if int(pid) != os.getpid()]


@pytest.mark.parametrize('signum', [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize('hurt', [0, 2])
def test_one_of_four(write, tmp_path, hurt, signum):
    work_dir = tmp_path / 'run'
    with Ranks(write(num_workers=1), work_dir, 4) as ranks:
        ranks.wait_for('[2][2/3]')
        os.kill(ranks.processes[hurt].pid, signum)
        begun = time.monotonic()
        others = [rank for rank in range(4) if rank != hurt]
        assert ranks.wait(*others) == [1, 1, 1]
        print(f'{signum.name} of rank {hurt}: {time.monotonic() - begun:.1f} s')
        for rank in others:
            assert f'rank {rank} ends: rank {hurt} (host ' in ranks.said(rank), ranks.said(rank)
        ranks.processes[hurt].kill()
    deadline = time.monotonic() + 60  # workers look for their parent every five seconds
    while left_over(work_dir):
        assert time.monotonic() < deadline, left_over(work_dir)
        time.sleep(0.5)


def test_a_rank_that_fails_is_named_with_its_error(write, tmp_path):
    config = write(dict(type='FaultyRank', kind='fails'))
    with Ranks(config, tmp_path / 'run', 2) as ranks:
        assert ranks.wait() == [1, 1]
        assert 'ValueError: no such thing' in ranks.said(1)
        line = next(line for line in ranks.said(0).splitlines() if line.startswith('rank 0 ends'))
        assert 'rank 1 (host' in line and line.endswith('ValueError: no such thing')


def test_an_evaluation_on_one_rank_is_no_hang(write, tmp_path):
    config = write(dict(type='SlowEvaluation'))
    with Ranks(config, tmp_path / 'run', 2) as ranks:
        ranks.wait_for('[2][2/6]')
        assert [process.poll() for process in ranks.processes] == [None, None]
        assert 'ends:' not in ranks.said(1)


@pytest.mark.parametrize('signum', [signal.SIGKILL, signal.SIGSTOP])
def test_through_torchrun(write, tmp_path, signum):
    """torchrun sees a death by itself, a hang only by its rank's watchdogs; both end all."""
    log, work_dir = tmp_path / 'log', tmp_path / 'run'
    environment = dict(
        os.environ,
        PYTHON=sys.executable,
        PORT=str(free_port()),
        OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES='',
        PYTHONPATH=f'{ROOT}:{os.environ["PYTHONPATH"]}',
    )
    with log.open('w') as file:
        process = subprocess.Popen(
            [ROOT / 'tools' / 'dist_train.sh', write(), '2', '--work-dir', work_dir],
            env=environment,
            stdout=file,
            stderr=file,
        )
    deadline = time.monotonic() + 240
    while '[2][2/6]' not in log.read_text():
        assert time.monotonic() < deadline and process.poll() is None, log.read_text()
        time.sleep(0.05)
    children = subprocess.run(
        ['pgrep', '-P', str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    ranks = {}
    for pid in children:
        variables = Path(f'/proc/{pid}/environ').read_bytes().split(b'\0')
        ranks.update({int(v[5:]): int(pid) for v in variables if v.startswith(b'RANK=')})
    os.kill(ranks[1], signum)
    code = process.wait(240)
    said = log.read_text()
    if signum == signal.SIGKILL:
        assert code == 137 and 'torchrun.py: rank 1 (host' in said and 'by SIGKILL' in said, said
    else:
        assert code == 1, said
        assert 'rank 0 ends: rank 1 (host' in said, said
    assert not left_over(work_dir)
