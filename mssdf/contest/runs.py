"""Trainings of a contest, in turns; a finished one is kept and skipped by a later call."""

import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from mssdf.checkpoints.saving import save
from mssdf.cli.building import WRONG_INPUT
from mssdf.cli.stopping import end_children, follow_parent
from mssdf.contest.tiles import Tiles, load_tiles
from mssdf.errors import MissingFileError, UsageError
from mssdf.utils.atomic_file import write_atomically

from .machine import describe_machine, git_revision
from .method_hooks import METHOD_HOOKS
from .training import TrainingSettings, build_model, train_recipe


@dataclass(frozen=True)
class Run:
    """A training of a contest.

    Attributes:
        name: name of the entry.
        config: adapted config of the entry.
        settings: conditions of the training, with the seed.
        tiles: path of the file with the tiles.
        out: folder of its record and checkpoint.
        threads: number of threads that it may use.
        command: command line, for the record.
    """

    name: str
    config: Config
    settings: TrainingSettings
    tiles: Path
    out: Path
    threads: int = 1
    command: str = ''

    @property
    def stem(self) -> str:
        """Name of its files without ending."""
        return f'{self.name}_seed{self.settings.seed}'

    @property
    def record_path(self) -> Path:
        """Path of its record, which exists once the training is finished."""
        return self.out / 'runs' / f'{self.stem}.json'

    @property
    def checkpoint_path(self) -> Path:
        """Path of its weights."""
        return self.out / f'{self.stem}.pth'


def conditions_of(run: Run) -> dict[str, Any]:
    """Collect the conditions under which a finished training may stand for this one."""
    settings, config = run.settings, run.config
    hooks = {
        name: hook
        for name, hook in (config.get('default_hooks') or {}).items()
        if str((hook or {}).get('type')).split('.')[-1] in METHOD_HOOKS
    }

    # Only what changes the training counts: hooks that log or save may differ.
    recipe = dict(
        model=config.model, optim=config.optim_wrapper, hooks=hooks, train=config.get('train_cfg')
    )
    text = json.dumps(recipe, sort_keys=True, default=str)

    return dict(
        recipe=hashlib.sha256(text.encode()).hexdigest()[:12],
        budget=str(settings.budget),
        batch_size=settings.batch_size,
        lr=settings.lr,
        warm_up=settings.warm_up,
        crops=json.loads(json.dumps(vars(settings.crops))),
        amp=settings.amp,
        compiled=settings.compiled,
        device=torch.device(settings.device).type,
        threads=run.threads,
        tiles=file_digest(run.tiles),
    )


@cache
def file_digest(path: Path) -> str:
    """Return the first digits of a file's SHA-256."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()[:12]


def finished_record(run: Run) -> dict[str, Any] | None:
    """Return the record of a finished training; None if it is not finished.

    Raises:
        UsageError: if it was made under other conditions, or its record cannot be read.
    """
    if not (run.record_path.is_file() and run.checkpoint_path.is_file()):
        return None
    record = _read_record(run.record_path)
    expected, earlier = conditions_of(run), record['conditions']
    differing = {
        key: (earlier.get(key), value)
        for key, value in expected.items()
        if earlier.get(key) != value
    }
    if differing:
        parts = [f'{key} {old!r} then, {new!r} now' for key, (old, new) in differing.items()]
        found = ', '.join(parts)
        raise UsageError(
            f'{run.record_path}: expected a training under the same conditions, found {found}; '
            'give another name or --out'
        )
    return record


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
        if not isinstance(record, dict) or not isinstance(record.get('conditions'), dict):
            raise ValueError('expected conditions, found none')
    except ValueError as error:  # not JSON, or not text at all
        raise UsageError(
            f'{path}: expected the record of a training as JSON, found: {error}; remove it'
        ) from None
    return record


@cache
def _tiles_of(path: Path) -> Tiles:
    """Load the tiles, once in each process."""
    tiles = load_tiles(path)
    if tiles is None:
        raise MissingFileError(path, 'tiles')
    return tiles


def execute(run: Run) -> dict[str, Any]:
    """Train, write the checkpoint and, last of all, the record.

    Returns:
        Record of the training.
    """
    torch.set_num_threads(run.threads)
    MMLogger.get_current_instance().setLevel(logging.ERROR)  # else a line for every weight
    device = torch.device(run.settings.device)

    def report(line: str) -> None:
        print(f'{run.stem} {line}', file=sys.stderr, flush=True)

    result = train_recipe(run.config, _tiles_of(run.tiles), run.settings, report)
    record = dict(
        name=run.name,
        seed=run.settings.seed,
        config=str(run.config.filename),
        checkpoint=run.checkpoint_path.name,
        machine=describe_machine(device),
        torch=torch.__version__,
        threads=run.threads,
        revision=git_revision(),
        command=run.command,
        conditions=conditions_of(run),
        **result.record,
    )
    meta = dict(cfg=run.config.pretty_text, seed=run.settings.seed, windows=record['windows'])
    save(dict(meta=meta, state_dict=_on_host(result.model.state_dict())), run.checkpoint_path)
    write_atomically(run.record_path, (json.dumps(record, indent=2) + '\n').encode())
    return record


def _on_host(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.detach().cpu() for key, value in state.items()}


def check_models(runs: Sequence[Run]) -> None:
    """Build the model of every entry once, so that a wrong one fails before hours of training.

    Raises:
        UsageError: if a model cannot be built.
    """
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    for name, run in {run.name: run for run in runs}.items():
        try:
            build_model(run.config, run.settings.seed, torch.device('cpu'))
        except WRONG_INPUT as error:
            raise UsageError(f'{name} ({run.config.filename}): {error}') from error


def execute_all(
    runs: Sequence[Run], jobs: int = 1, say: Callable[[str], None] = print
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Execute trainings in their order, skipping those that are finished.

    A training that fails does not stop the others.

    Args:
        runs: trainings, in turns.
        jobs: number of processes that train at the same time; 1 trains in this one.
        say: function that is called with a line on each training.

    Returns:
        Records in the same order, and the errors of the trainings without one.

    Raises:
        UsageError: if a finished training was made under other conditions, or a model is wrong.
    """
    # All records are checked before any training starts.
    found = {run.stem: finished_record(run) for run in runs}
    records = {stem: record for stem, record in found.items() if record is not None}
    missing = [run for run in runs if run.stem not in records]
    failed: dict[str, str] = {}
    if len(missing) < len(runs):
        say(f'{len(runs) - len(missing)} of {len(runs)} trainings are finished already')

    check_models(missing)
    for run, get in _results(missing, jobs):
        try:
            records[run.stem] = record = get()
        except (RuntimeError, ValueError, OSError) as error:  # out of memory, no finite loss, ...
            failed[run.stem] = f'{type(error).__name__}: {error}'
            say(f'{run.stem} failed: {failed[run.stem]}')
        else:
            say(summary(record))
    return [records[run.stem] for run in runs if run.stem in records], failed


def _results(runs: Sequence[Run], jobs: int) -> Iterator[tuple[Run, Callable[[], dict[str, Any]]]]:
    """Yield each training with the call that returns its record, in the order of completion."""
    if jobs == 1 or not runs:
        for run in runs:
            yield run, partial(execute, run)
        return
    context = get_context('spawn')  # a forked process would inherit the state of libraries
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=follow_parent, max_tasks_per_child=1
    ) as pool:
        futures = {pool.submit(execute, run): run for run in runs}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_children()  # leaving the pool would wait for them
            raise


def summary(record: dict[str, Any]) -> str:
    """Describe a finished training in one line."""
    return (
        f'{record["name"]} seed {record["seed"]}: {record["windows"]} windows in '
        f'{record["seconds"]:.0f} s of {record["seconds_of"]} '
        f'({record["windows_per_second"]:.1f}/s), peak {record["peak_memory_mib"]:.0f} MiB'
    )
