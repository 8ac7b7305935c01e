"""tools/slurm_train.sh and the job that it submits, with stand-ins for Slurm's commands."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mssdf.cli import processes
from mssdf.errors import UsageError

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / 'tools'
sys.path.insert(0, str(HERE))
from slurm_stand_in import Scheduler, cpu_environment, install, submit  # noqa: E402


def test_submits_a_job_that_requeues(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = install(tmp_path / 'bin')
    job = submit(
        environment, 'part', 'name', 'c d.py', '--amp', GPUS='16', SBATCH_ARGS='--time=1:00 --qos=l'
    )
    for option in (
        '--gres=gpu:8',
        '--ntasks=16',
        '--ntasks-per-node=8',
        '--cpus-per-task=5',
        '--requeue',
        '--open-mode=append',
        '--signal=B:USR1@120',
        '--output=work_dirs/%x-%j.log',
        '--time=1:00',
        '--qos=l',
        '--job-name=name',
    ):
        assert option in job['options'], option
    assert job['arguments'] == [str(TOOLS), 'c d.py', '--amp']
    assert (tmp_path / 'work_dirs').is_dir()  # Slurm does not make it, the job would vanish
    job = submit(environment, 'p', 'n', 'c.py', GPUS='0', TASKS='4', TASKS_PER_NODE='2', GRACE='60')
    assert not any('gres' in option for option in job['options'])
    assert {'--ntasks=4', '--ntasks-per-node=2', '--signal=B:USR1@60'} <= set(job['options'])


@pytest.mark.parametrize('variables', [dict(SRUN='1'), dict(SLURM_JOB_ID='3')])
def test_runs_at_once_if_wanted_or_inside_an_allocation(tmp_path, variables):
    environment = install(tmp_path)
    environment.update(GPUS='2', SRUN_ARGS='--time=1:00 --qos=low', PYTHON='true', SLURM_NTASKS='1')
    environment.update(variables)
    subprocess.run(
        [TOOLS / 'slurm_train.sh', 'part', 'job', 'c d.py', '--amp'], env=environment, check=True
    )
    said = json.loads((tmp_path / 'srun.json').read_text())
    for option in ('--gres=gpu:2', '--ntasks=2', '--ntasks-per-node=2', '--time=1:00', '--qos=low'):
        assert option in said
    assert '--signal=USR1@120' in said and '--kill-on-bad-exit=1' in said
    assert said[-4:] == ['c d.py', '--launcher', 'slurm', '--amp']


@pytest.mark.parametrize(
    ('nodes', 'first'),
    [
        ('gpu1', 'gpu1'),
        ('gpu1,gpu2', 'gpu1'),
        ('gpu[03-07,11],big1', 'gpu03'),
        ('r[1-2]-n[08-09]', 'r1-n08'),
        ('n[2,5]-ib', 'n2-ib'),
    ],
)
def test_first_node(nodes, first):
    assert processes.first_node(nodes) == first


def test_slurms_variables(monkeypatch):
    for name in ('MASTER_ADDR', 'MASTER_PORT', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')  # so that it is taken back afterwards
        monkeypatch.delenv(name)
    monkeypatch.delenv('SLURM_PROCID', raising=False)
    with pytest.raises(UsageError, match='started by srun, found no SLURM_PROCID'):
        processes.read_slurm_variables()
    slurm = dict(PROCID='3', NTASKS='8', LOCALID='1', JOB_ID='50017', JOB_NODELIST='a[2-5]')
    for name, value in slurm.items():
        monkeypatch.setenv(f'SLURM_{name}', value)
    processes.read_slurm_variables()
    names = ('MASTER_ADDR', 'MASTER_PORT', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK')
    assert [os.environ[name] for name in names] == ['a2', '30017', '3', '8', '1']


@pytest.fixture
def environment(tmp_path):
    return cpu_environment(tmp_path / 'bin')


STUB = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit({code}))
print('begun', sys.argv[1:], flush=True)
time.sleep({seconds})
sys.exit({end})
"""


@pytest.mark.parametrize(
    ('case', 'stub', 'signum', 'code', 'requeued'),
    [
        ('not asked, done', dict(code=75, seconds=0, end=0), None, 0, 0),
        ('not asked, failed', dict(code=75, seconds=0, end=1), None, 1, 0),
        ('pre-empted by a signal to the step alone', dict(code=75, seconds=0, end=75), None, 75, 1),
        ('asked', dict(code=75, seconds=60, end=0), signal.SIGUSR1, 75, 1),
        ('asked, killed on the way', dict(code=137, seconds=60, end=0), signal.SIGUSR1, 75, 1),
        ('asked, but it was done', dict(code=0, seconds=60, end=0), signal.SIGUSR1, 0, 0),
        ('cancelled', dict(code=75, seconds=60, end=0), signal.SIGTERM, 75, 0),
    ],
)
def test_what_is_requeued(tmp_path, environment, case, stub, signum, code, requeued):
    tools = tmp_path / 'tools'
    tools.mkdir()
    (tools / 'train.py').write_text(STUB.format(**stub))
    (tmp_path / 'bin' / 'slurm_script').write_text((TOOLS / '_slurm_job.sh').read_text())
    job = dict(options=['--ntasks=1'], arguments=[str(tools), 'c.py'], folder=str(tmp_path))
    scheduler = Scheduler(environment, job, tmp_path / 'log')
    process = scheduler.start()
    scheduler.wait_for('begun', process, 30) if stub['seconds'] else None
    if case == 'cancelled':
        (tmp_path / 'bin' / 'cancelled').touch()
    if signum:
        process.send_signal(signum)
    assert process.wait(60) == code, scheduler.log.read_text()
    assert scheduler.requeued() == requeued
    assert "['c.py', '--launcher', 'slurm', '--resume']" in scheduler.log.read_text()
