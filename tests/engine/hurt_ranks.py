"""Ranks of a run on the CPU, started one by one, so that each can be hurt by itself."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


class Ranks:
    """All ranks of one run.

    Args:
        config: path of the config.
        work_dir: of the run; the logs are beside it.
        number: of ranks.
    """

    def __init__(self, config: Path, work_dir: Path, number: int) -> None:
        port = str(free_port())
        self.logs = [work_dir.with_name(f'rank{rank}.log') for rank in range(number)]
        self.processes = []
        for rank, log in enumerate(self.logs):
            environment = dict(
                os.environ,
                MASTER_ADDR='127.0.0.1',
                MASTER_PORT=port,
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE=str(number),
                OMP_NUM_THREADS='1',
                CUDA_VISIBLE_DEVICES='',
                PYTHONPATH=f'{ROOT}:{os.environ.get("PYTHONPATH", "")}',
            )
            command = [sys.executable, '-u', ROOT / 'tools' / 'train.py', config]
            command += ['--work-dir', work_dir, '--launcher', 'pytorch']
            with log.open('w') as file:
                self.processes.append(
                    subprocess.Popen(
                        command,
                        env=environment,
                        stdout=file,
                        stderr=file,
                        start_new_session=True,
                    )
                )

    def said(self, rank: int) -> str:
        return self.logs[rank].read_text()

    def wait_for(self, text: str, rank: int = 0, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.said(rank):
            running = self.processes[rank].poll() is None
            assert time.monotonic() < deadline and running, self.said(rank)
            time.sleep(0.02)

    def wait(self, *ranks: int, seconds: float = 240) -> list[int]:
        """Exit codes of these ranks, or of all."""
        chosen = ranks or range(len(self.processes))
        return [self.processes[rank].wait(seconds) for rank in chosen]

    def __enter__(self) -> 'Ranks':
        return self

    def __exit__(self, *exception) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
