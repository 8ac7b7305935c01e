"""Two processes on the CPU, through ``tools/dist_train.sh``."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'dist_train.sh'


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


def start(config: Path, work_dir: Path, log: Path) -> subprocess.Popen:
    environment = dict(
        os.environ,
        PYTHON=sys.executable,
        PORT=str(free_port()),
        OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES='',
    )
    with log.open('a') as file:
        return subprocess.Popen(
            [SCRIPT, config, '2', '--work-dir', work_dir, '--resume'],
            env=environment,
            stdout=file,
            stderr=file,
        )


@pytest.mark.slow
def test_interrupted_on_all_ranks_at_one_iteration_and_resumed(tiny_config, tmp_path):
    """A signal to torchrun reaches the ranks at different times; they agree on where to stop."""
    tiny_config.train_dataloader.batch_size = 1
    config = tmp_path / 'two.py'
    tiny_config.dump(config)

    whole = tmp_path / 'whole.log'
    assert start(config, tmp_path / 'whole', whole).wait(120) == 0, whole.read_text()

    log = tmp_path / 'stopped.log'
    signals = [(signal.SIGUSR1, '[1][4/6]', 75), (signal.SIGINT, '[2][4/6]', 130)]
    for number, (signum, at, code) in enumerate(signals, 1):
        process = start(config, tmp_path / 'stopped', log)
        deadline = time.monotonic() + 90
        while at not in log.read_text():
            assert time.monotonic() < deadline and process.poll() is None, log.read_text()
            time.sleep(0.01)
        process.send_signal(signum)
        assert process.wait(60) == code, log.read_text()
        assert log.read_text().count('all saved in') == number, log.read_text()
    assert start(config, tmp_path / 'stopped', log).wait(120) == 0, log.read_text()
    assert log.read_text().count('Resuming from') == 2

    first, second = (
        torch.load(tmp_path / name / 'iter_18.pth', weights_only=False)['state_dict']
        for name in ('whole', 'stopped')
    )
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
