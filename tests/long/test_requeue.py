"""A job that is pre-empted, from sbatch to its end, with stand-ins for Slurm's commands."""

import runpy
import signal
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / 'tools'))
from slurm_stand_in import Scheduler, cpu_environment, submit  # noqa: E402


def weights(folder: Path) -> dict:
    return torch.load(folder / 'iter_18.pth', weights_only=False)['state_dict']


@pytest.fixture
def config_path(tmp_path, data_root) -> Path:
    tiny_dict = runpy.run_path(str(TESTS / 'engine' / 'conftest.py'))['tiny_dict']
    config = Config(tiny_dict(data_root))
    config.train_dataloader.update(batch_size=1, num_workers=1)
    config.dump(tmp_path / 'two.py')
    return tmp_path / 'two.py'


def test_pre_empted_twice_ends_as_if_nothing_had_happened(config_path, tmp_path):
    """SIGUSR1 in epoch 1 and SIGTERM in epoch 2, to two processes with data workers."""
    environment = cpu_environment(tmp_path / 'bin')
    whole = submit(environment, 'p', 'n', config_path, '--work-dir', str(tmp_path / 'whole'))
    log = tmp_path / 'whole.log'
    assert Scheduler(environment, whole, log).start().wait(180) == 0, log.read_text()

    job = submit(environment, 'p', 'n', config_path, '--work-dir', str(tmp_path / 'run'))
    scheduler = Scheduler(environment, job, tmp_path / 'run.log')
    for number, (signum, at) in enumerate(
        [(signal.SIGUSR1, '[1][4/6]'), (signal.SIGTERM, '[2][4/6]')], 1
    ):
        process = scheduler.start()
        scheduler.wait_for(at, process)
        process.send_signal(signum)
        assert process.wait(120) == 75, scheduler.log.read_text()
        assert scheduler.requeued() == number
        assert (tmp_path / 'run' / 'interrupted.pth').exists()
    assert scheduler.start().wait(180) == 0, scheduler.log.read_text()
    assert scheduler.requeued() == 2
    said = scheduler.log.read_text()
    assert said.count('Resuming from') == 2 and said.count('starting from the beginning') == 1
    assert said.count('Stopped after') == 2

    first, second = weights(tmp_path / 'whole'), weights(tmp_path / 'run')
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
