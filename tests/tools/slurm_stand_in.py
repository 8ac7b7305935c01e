"""Stand-ins for Slurm's commands, and a scheduler of one job: what the scripts see of a cluster.

They follow Slurm's manual pages where the scripts depend on it: sbatch spools a copy of the script,
srun starts the tasks in a process group of their own and passes signals on to all of its processes
(data workers too), returns the highest exit code and ends the others after one failed.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
KILL_WAIT = 30.0


def take_options(arguments: list[str]) -> list[str]:
    options = []
    while arguments[0].startswith('-'):
        options.append(arguments.pop(0))
        if options[-1] == '-p':
            options.append(arguments.pop(0))
    return options


def sbatch(arguments: list[str], state: Path) -> int:
    options = take_options(arguments)
    shutil.copy(arguments[0], state / 'slurm_script')
    job = dict(options=options, arguments=arguments[1:], folder=os.getcwd())
    (state / 'job.json').write_text(json.dumps(job))
    print('Submitted batch job 17')
    return 0


def scontrol(arguments: list[str], state: Path) -> int:
    if arguments[:2] == ['show', 'hostnames']:
        print('127.0.0.1\nnode2')
    elif arguments[:2] == ['show', 'job']:
        cancelled = (state / 'cancelled').exists()
        print(
            f'JobId={arguments[2]} JobState={"CANCELLED" if cancelled else "RUNNING"} Reason=None'
        )
    elif arguments[0] == 'requeue':
        with (state / 'requeued').open('a') as file:
            file.write(f'{arguments[1]}\n')
    else:
        return 1
    return 0


def srun(arguments: list[str], state: Path) -> int:
    (state / 'srun.json').write_text(json.dumps(arguments))
    take_options(arguments)
    tasks = []
    for rank in range(int(os.environ['SLURM_NTASKS'])):
        variables = dict(SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank))
        tasks.append(
            subprocess.Popen(arguments, env={**os.environ, **variables}, start_new_session=True)
        )

    def send(signum: int) -> None:
        for task in tasks:
            if task.poll() is None:
                with contextlib.suppress(ProcessLookupError):  # it just ended
                    os.killpg(task.pid, signum)

    for signum in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(signum, lambda signum, frame: send(signum))
    deadline = None
    while any(task.poll() is None for task in tasks):
        if deadline is None and any(task.poll() for task in tasks):
            send(signal.SIGTERM)  # --kill-on-bad-exit
            deadline = time.monotonic() + KILL_WAIT
        if deadline is not None and time.monotonic() > deadline:
            send(signal.SIGKILL)
        time.sleep(0.05)
    codes = [task.returncode for task in tasks]
    return max(code if code >= 0 else 128 - code for code in codes)


def install(folder: Path) -> dict[str, str]:
    """Put the commands into a folder; return the environment in which they are found."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ('sbatch', 'scontrol', 'srun'):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "$@"\n')
        path.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith('SLURM_')}
    for name in ('MASTER_ADDR', 'MASTER_PORT', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'SRUN'):
        environment.pop(name, None)
    environment.update(
        PATH=f'{folder}:{os.environ["PATH"]}', STAND_IN_STATE=str(folder), PYTHON=sys.executable
    )
    return environment


def cpu_environment(folder: Path) -> dict[str, str]:
    """Of a job of two processes on CPUs."""
    root = str(Path(__file__).resolve().parents[2])
    return dict(
        install(folder),
        OMP_NUM_THREADS='1',
        CUDA_VISIBLE_DEVICES='',
        PYTHONPATH=f'{root}:{os.environ.get("PYTHONPATH", "")}',
        GPUS='0',
        TASKS='2',
    )


def submit(environment: dict, *arguments, **variables) -> dict:
    subprocess.run(
        [TOOLS / 'slurm_train.sh', *arguments], env={**environment, **variables}, check=True
    )
    return json.loads((Path(environment['STAND_IN_STATE']) / 'job.json').read_text())


class Scheduler:
    """Starts a submitted job as often as it is requeued."""

    def __init__(self, environment: dict, job: dict, log: Path) -> None:
        tasks = next(o for o in job['options'] if o.startswith('--ntasks=')).split('=')[1]
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            port = str(listener.getsockname()[1])
        self.environment = dict(
            environment,
            SLURM_JOB_ID='17',
            SLURM_NTASKS=tasks,
            SLURM_JOB_NODELIST='node[1-2]',
            SLURM_CPUS_PER_TASK='1',
            MASTER_PORT=port,
        )
        self.job = job
        self.log = log
        self.starts = 0
        self.state = Path(environment['STAND_IN_STATE'])

    def start(self) -> subprocess.Popen:
        self.environment['SLURM_RESTART_COUNT'] = str(self.starts)
        self.starts += 1
        with self.log.open('a') as file:
            return subprocess.Popen(
                ['bash', self.state / 'slurm_script', *self.job['arguments']],
                env=self.environment,
                cwd=self.job['folder'],
                stdout=file,
                stderr=file,
            )

    def wait_for(self, text: str, process: subprocess.Popen, seconds: float = 150) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < deadline and process.poll() is None, self.log.read_text()
            time.sleep(0.01)

    def requeued(self) -> int:
        path = self.state / 'requeued'
        return len(path.read_text().split()) if path.exists() else 0


if __name__ == '__main__':
    command = {'sbatch': sbatch, 'scontrol': scontrol, 'srun': srun}[sys.argv[1]]
    sys.exit(command(sys.argv[2:], Path(os.environ['STAND_IN_STATE'])))
