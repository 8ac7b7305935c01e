"""Runs of the benchmark: training, test and scoring in processes of their own, each once."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from mssdf.cli.configs import initializers_of, read_config, set_data_root
from mssdf.evaluation.frozen.measurement_settings import digest_of
from mssdf.utils.atomic_file import write_atomically

from .preparing import Prepared
from .scoring import image_sums
from .table import read_result
from .tasks import Task

END = 3000  # number of characters of a log that an error shows
# Scores come from tools/test.py, and no run resumes from the checkpoint.
TRAINING = dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator')) | {
    'default_hooks.checkpoint.save_optimizer': False
}
RANDOM_START = {'model.backbone.init_cfg': None}
LABELS = dict(
    config='config',
    checkpoint='SHA-256 of the checkpoint',
    data='fingerprint of the data (names, sizes and times of the files)',
    merged='hash of the merged config',
    options='options',
)


class RunFailedError(RuntimeError):
    """An error of a run's tool; the message ends with the tool's output."""


class Stopped(KeyboardInterrupt):
    """An exception after a stop of the benchmark while this run's tool was working."""


@dataclass(frozen=True)
class Run:
    """An encoder fine-tuned for one task with one seed.

    Attributes:
        task: task of the training.
        name: name of the encoder, which has one row of the table.
        checkpoint: path of the checkpoint to start from; None starts from a random encoder.
        seed: seed of the training and of the draw of labels.
        options: further settings, by their dotted names.
    """

    task: Task
    name: str
    checkpoint: Path | None
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def path(self, out: Path) -> Path:
        """Return the path of the run's result."""
        return out / 'runs' / self.task.name / f'{self.name}_seed{self.seed}.json'

    def settings(self, prepared: Prepared) -> dict[str, Any]:
        """Collect the conditions that the result depends on, as stored in its file."""
        start = None
        if self.checkpoint is not None:
            start = hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()
        return dict(
            config=self.task.config,
            checkpoint=start,
            data=prepared.fingerprint,
            merged=self.config_digest(prepared),
            options={key: str(value) for key, value in self.options.items()},
        )

    def training_options(self, prepared: Prepared) -> dict[str, Any]:
        """Collect the config settings that training overrides, by their dotted names."""
        start = {} if self.checkpoint else RANDOM_START
        return {**prepared.options, **self.options, **start, **TRAINING}

    def config_digest(self, prepared: Prepared) -> str:
        """Hash the config of the training, independently of the location of the folders.

        A list of samples counts by its content. Data and checkpoint are left out, as the settings
        have them already.
        """
        options = {
            key: _content_of(value) for key, value in self.training_options(prepared).items()
        }
        config = read_config(self.task.config, options=options)
        set_data_root(config, '')
        config.pop('checkpoint', None)  # our configs have it at the top too
        for node in initializers_of(config.get('model')):
            node['checkpoint'] = ''
        return digest_of(config.to_dict())

    def is_done(self, out: Path, prepared: Prepared) -> bool:
        """Tell whether there is a result.

        Raises:
            FileExistsError: if the result was made with other settings.
            ValueError: if it cannot be read.
        """
        path = self.path(out)
        if not path.exists():
            return False
        found, expected = read_result(path)['settings'], self.settings(prepared)
        for key, value in expected.items():
            if found.get(key) != value:
                raise FileExistsError(
                    f'{path}: expected a result with the {LABELS[key]} {value}, found '
                    f'{found.get(key)}; remove it, or choose another --out'
                )
        return True


def run_all(
    runs: Sequence[tuple[Run, Prepared]],
    out: Path,
    tools: Path,
    jobs: int,
    finished: Callable[[Run, float], None],
) -> None:
    """Make all results that are missing.

    Args:
        runs: runs with their data.
        out: folder of the results.
        tools: folder of ``train.py`` and ``test.py``.
        jobs: number of simultaneous runs.
        finished: function that is called with each finished run and its seconds.

    Raises:
        RunFailedError: if a run fails; the others that have begun are stopped.
        KeyboardInterrupt: if the benchmark is stopped; finished results are kept.
    """
    stop = Event()
    missing = [(run, data) for run, data in runs if not run.is_done(out, data)]
    with ThreadPoolExecutor(jobs) as pool:
        futures: dict[Future[float], Run] = {
            pool.submit(execute, run, data, out, tools, jobs, stop): run for run, data in missing
        }
        left = set(futures)
        try:
            while left:
                done, left = wait(left, return_when=FIRST_COMPLETED)
                for future in done:
                    finished(futures[future], future.result())
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def execute(run: Run, prepared: Prepared, out: Path, tools: Path, jobs: int, stop: Event) -> float:
    """Make one result: train, test, compare, write.

    A run that was cut off starts from the beginning, so that its result does not depend on the
    interruption.

    Args:
        run: result to make.
        prepared: data of the run's task for its seed.
        out: folder of all results; the run works in ``work/`` there.
        tools: folder of ``train.py`` and ``test.py``.
        jobs: number of simultaneous runs, which share the cores.
        stop: event that ends the run early.

    Returns:
        Seconds that the run took.
    """
    begun = time.monotonic()
    settings = run.settings(prepared)  # taken before training, as files may change meanwhile
    work = out / 'work' / run.task.name / f'{run.name}_seed{run.seed}'
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)

    root = ['--data-root', str(prepared.root)]
    train = [
        *(run.task.config, '--work-dir', str(work / 'train'), '--seed', str(run.seed), *root),
        *(('--checkpoint', str(run.checkpoint)) if run.checkpoint else ()),
        *('--cfg-options', *as_arguments(run.training_options(prepared))),
    ]
    _command([str(tools / 'train.py'), *train], work / 'train.txt', jobs, stop)

    weights = (work / 'train/last_checkpoint').read_text().strip()
    test = [
        *(run.task.config, weights, '--work-dir', str(work / 'test'), *root),
        *('--out', str(work / 'predictions'), '--pictures', '4'),
        *('--cfg-options', *as_arguments({**prepared.options, **run.options})),
    ]
    _command([str(tools / 'test.py'), *test], work / 'test.txt', jobs, stop)

    images, sums = image_sums(run.task.kind, work / 'predictions', prepared.truths)
    seconds = time.monotonic() - begun
    result = dict(
        task=run.task.name,
        name=run.name,
        seed=run.seed,
        checkpoint=None if run.checkpoint is None else str(run.checkpoint),
        seconds=round(seconds, 1),
        settings=settings,
        images=images,
        sums=sums.tolist(),
    )
    write_atomically(run.path(out), json.dumps(result).encode())
    for weights_file in (work / 'train').glob('*.pth'):
        weights_file.unlink()
    return seconds


def _content_of(value: Any) -> Any:
    """Return the hash of the file that a setting names, or any other setting unchanged."""
    if isinstance(value, str) and Path(value).is_absolute() and Path(value).is_file():
        return hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return value


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Format settings for ``--cfg-options``: KEY=VALUE, sequences in brackets."""
    return [
        f'{key}=({",".join(map(str, value))})' if isinstance(value, tuple) else f'{key}={value}'
        for key, value in options.items()
    ]


def _command(arguments: list[str], log: Path, jobs: int, stop: Event) -> None:
    """Run a tool with its share of the cores, until it ends or the benchmark is stopped."""
    threads = os.environ.get('OMP_NUM_THREADS') or max((os.cpu_count() or 1) // jobs, 1)
    environment = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
    for variable in ('MSSDF_DATA', 'MSSDF_CHECKPOINT'):  # the command line sets both
        environment.pop(variable, None)

    # The tool runs in a process group of its own, until it ends or the benchmark is stopped.
    if stop.is_set():
        raise Stopped
    with log.open('w') as file:
        # In a session of its own, the tool gets no Ctrl-C; this process ends it.
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )

        try:
            while process.poll() is None:
                if stop.wait(0.2):
                    raise Stopped
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    if process.returncode:
        raise RunFailedError(f'{log}: exit status {process.returncode}\n{log.read_text()[-END:]}')
