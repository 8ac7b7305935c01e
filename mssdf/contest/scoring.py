"""Scores of a contest's checkpoints by the evaluation of frozen features, in several processes."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from mssdf.cli.stopping import follow_parent
from mssdf.errors import CheckpointError
from mssdf.evaluation.frozen import (
    EvaluationSet,
    FeatureTable,
    MeasurementSettings,
    evaluate_encoders,
)
from mssdf.evaluation.frozen.store import UNITS

PARTS = 'parts'
ENDS = ('npz', 'json')  # the JSON file goes last, as a unit counts once it exists


@dataclass(frozen=True)
class Scoring:
    """Settings of the scoring of checkpoints.

    Attributes:
        sets: evaluation sets.
        settings: settings of the measurement.
        folder: folder of the scores.
        device: device of the encoders and the probes.
        threads: number of threads of each process.
        jobs: number of processes that score at the same time; 1 scores in this one.
    """

    sets: Sequence[EvaluationSet]
    settings: MeasurementSettings
    folder: Path
    device: str = 'cpu'
    threads: int = 1
    jobs: int = 1


def score_checkpoints(
    checkpoints: Mapping[str, Mapping[int, Path]],
    scoring: Scoring,
    say: Callable[[str], None] = print,
) -> FeatureTable:
    """Measure what is missing, and return the table of all results.

    Args:
        checkpoints: paths of checkpoints by the entry's name and by seed.
        scoring: settings of the scoring.
        say: function that takes lines of progress.

    Returns:
        Table with the rows of the entries, then those of the baselines.
    """
    torch.set_num_threads(scoring.threads)
    MMLogger.get_current_instance().setLevel(logging.ERROR)  # else a line for every weight
    _collect(scoring.folder)
    if scoring.jobs > 1:
        _score_in_parts(checkpoints, scoring, say)

    # The rows of untrained encoders, and all that no part has measured.
    return evaluate_encoders(
        checkpoints,
        scoring.sets,
        scoring.folder,
        scoring.settings,
        device=scoring.device,
        progress=say,
    )


def _score_in_parts(
    checkpoints: Mapping[str, Mapping[int, Path]], scoring: Scoring, say: Callable[[str], None]
) -> None:
    """Measure in several processes, each in a folder of its own.

    A folder of results has a single writer, as another one would remove its half-written files.
    """
    every = [(name, seed, path) for name, of in checkpoints.items() for seed, path in of.items()]
    jobs = min(scoring.jobs, len(every))
    context = get_context('spawn')  # a forked process would inherit the state of libraries
    try:
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=follow_parent) as pool:
            parts = [every[number::jobs] for number in range(jobs)]
            futures = {
                pool.submit(_score_part, number, part, scoring): number
                for number, part in enumerate(parts)
            }
            try:
                for future in as_completed(futures):
                    future.result()
                    say(f'scores: {len(parts[futures[future]])} checkpoints of a process are done')
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        _collect(scoring.folder)


def _score_part(number: int, part: Sequence[tuple[str, int, Path]], scoring: Scoring) -> None:
    """Measure some checkpoints; the first part also measures image statistics and convolutions."""
    torch.set_num_threads(scoring.threads)
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    folder = scoring.folder / PARTS / str(number)
    known = scoring.folder / UNITS
    if known.is_dir():
        shutil.copytree(known, folder / UNITS, dirs_exist_ok=True)

    encoders: dict[str, dict[int, Path]] = {}
    for name, seed, path in part:
        encoders.setdefault(name, {})[seed] = path
    rounds = [(encoders, False)] + ([({}, True)] if number == 0 else [])
    for given, baselines in rounds:
        try:
            evaluate_encoders(
                given,
                scoring.sets,
                folder,
                scoring.settings,
                baselines=baselines,
                device=scoring.device,
                progress=lambda line: print(f'process {number}: {line}', flush=True),
            )
        except (CheckpointError, ValueError) as error:  # no checkpoint of this part can be measured
            print(f'process {number}: {error}', flush=True)


def _collect(folder: Path) -> None:
    """Move the finished units of all parts, including interrupted calls, to the others.

    A unit's name is a hash of everything that its scores depend on, whichever process measured it.
    """
    parts, target = folder / PARTS, folder / UNITS
    if not parts.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True)
    for part in sorted(parts.iterdir()):
        for done in sorted((part / UNITS).glob('[!.]*.json')):
            if (target / done.name).exists():
                continue  # a copy, perhaps cut off
            for file in (done.with_suffix(f'.{end}') for end in ENDS):
                if file.exists():  # an interrupted call may have moved it
                    os.replace(file, target / file.name)
    shutil.rmtree(parts)
