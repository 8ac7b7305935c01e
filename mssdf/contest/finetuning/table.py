"""Results of all runs as one table."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mssdf.evaluation.frozen.bootstrap import Interval, difference_interval, score_interval
from mssdf.evaluation.frozen.scores import LESS_IS_BETTER, SCORES

from .tasks import Task

FIELDS = ('task', 'name', 'seed', 'settings', 'images', 'sums')


@dataclass(frozen=True)
class Result:
    """Sums of one run over each test image.

    Attributes:
        task: name of the task.
        name: name of the encoder.
        seed: seed of the run.
        images: names of the test images.
        sums: sums (N, Q) over each image.
    """

    task: str
    name: str
    seed: int
    images: list[str]
    sums: NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """A score of one encoder at one task.

    Attributes:
        task: name of the task.
        name: name of the encoder.
        score: name of the score.
        seeds: seeds that the value averages.
        images: number of test images.
        value: score over all images, averaged over seeds.
        difference: gain over the encoder of the comparison, over the seeds that both have; None for
            that encoder itself.
    """

    task: str
    name: str
    score: str
    seeds: list[int]
    images: int
    value: Interval
    difference: Interval | None


def read_result(path: Path) -> dict[str, Any]:
    """Read the file of a run's result.

    Raises:
        ValueError: if the file is damaged or is not a result.
    """
    try:
        found = json.loads(path.read_text())
    except ValueError as error:  # not JSON, or not text at all
        raise ValueError(
            f'{path}: expected the result of a run as JSON, found: {error}; remove it'
        ) from None
    lacking = [key for key in FIELDS if not isinstance(found, dict) or key not in found]
    if lacking:
        raise ValueError(
            f'{path}: expected the result of a run, found JSON without {", ".join(lacking)}; '
            f'remove it'
        )
    return found


def load_results(paths: Iterable[Path]) -> list[Result]:
    """Read the results that exist."""
    results = []
    for path in paths:
        if path.exists():
            found = read_result(path)
            fields = {key: found[key] for key in ('task', 'name', 'seed', 'images')}
            results.append(Result(**fields, sums=np.array(found['sums'], np.float64)))
    return results


def compare(results: Sequence[Result], tasks: Sequence[Task], against: str) -> list[Row]:
    """Average over seeds, and compare each encoder with one of them.

    Args:
        results: results of all runs.
        tasks: tasks in the order of the table.
        against: name of the encoder of the comparison.

    Raises:
        ValueError: if the results of one task have different test images.
    """
    rows = []
    for task in tasks:
        of_task = [result for result in results if result.task == task.name]
        for result in of_task:
            if result.images != of_task[0].images:
                raise ValueError(
                    f'{task.name}: expected the same test images in all results, found others in '
                    f'that of {result.name}, seed {result.seed}'
                )
        by_name: dict[str, dict[int, NDArray]] = {}
        for result in of_task:
            by_name.setdefault(result.name, {})[result.seed] = result.sums
        for name, sums in by_name.items():
            reference = None if name == against else by_name.get(against)
            rows += [
                _row(task.name, name, score, sums, reference, len(of_task[0].images))
                for score in task.scores
            ]
    return rows


def _row(
    task: str,
    name: str,
    score: str,
    sums: dict[int, NDArray],
    reference: dict[int, NDArray] | None,
    images: int,
) -> Row:
    seeds = sorted(sums)
    value = score_interval(np.stack([sums[seed] for seed in seeds]), SCORES[score])
    common = sorted(set(seeds) & set(reference or ()))
    difference = None
    if reference is not None and common:
        ours, theirs = (np.stack([side[seed] for seed in common]) for side in (sums, reference))
        difference = difference_interval(ours, theirs, SCORES[score])
    return Row(task, name, score, seeds, images, value, difference)


def to_csv(rows: Sequence[Row], against: str) -> str:
    """Format one line per task, encoder and score."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    parts = ('value', 'low', 'high', 'difference', 'difference_low', 'difference_high')
    table.writerow(['task', 'name', 'score', 'seeds', 'images', 'against', *parts])
    for row in rows:
        figures = [
            '' if interval is None else f'{getattr(interval, key):.6g}'
            for interval in (row.value, row.difference)
            for key in ('value', 'low', 'high')
        ]
        seeds = ' '.join(map(str, row.seeds))
        table.writerow([row.task, row.name, row.score, seeds, row.images, against, *figures])
    return text.getvalue()


def to_markdown(rows: Sequence[Row], against: str) -> str:
    """Format one line per encoder, the tasks side by side; significant differences in bold."""
    columns = list(dict.fromkeys((row.task, row.score) for row in rows))
    names = list(dict.fromkeys(row.name for row in rows))
    cells = {(row.name, row.task, row.score): row for row in rows}
    head = ['encoder', *(f'{task}, {_label(score)}' for task, score in columns)]
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    for name in names:
        found = [cells.get((name, *column)) for column in columns]
        lines.append('| ' + ' | '.join([name, *map(_cell, found)]) + ' |')
    seeds = sorted({len(row.seeds) for row in rows})
    note = (
        f'Mean over seeds ({" to ".join(map(str, seeds[:: max(len(seeds) - 1, 1)]))}) '
        f'[95 % interval]; below it the difference to {against} '
        '[95 % interval], in bold where zero lies outside. Intervals: bootstrap of the test '
        'images, t distribution over seeds, both in pairs for differences.'
    )
    return '\n'.join([*lines, '', note, ''])


def _label(score: str) -> str:
    return {'RMSE': 'RMSE (m, less is better)', 'R2': 'R²', 'accuracy': 'top-1'}.get(score, score)


def _cell(row: Row | None) -> str:
    if row is None:
        return '–'
    digits = 2 if row.score in LESS_IS_BETTER else 3

    def text(interval: Interval, sign: str = '') -> str:
        low, high = (f'{end:{sign}.{digits}f}' for end in (interval.low, interval.high))
        return f'{interval.value:{sign}.{digits}f} [{low}, {high}]'

    if row.difference is None:
        return text(row.value)
    gain = text(row.difference, '+')
    return f'{text(row.value)}<br>{f"**{gain}**" if row.difference.beyond_zero else gain}'
