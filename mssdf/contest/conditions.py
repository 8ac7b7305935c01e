"""Conditions of a contest, listed below its table."""

from collections.abc import Mapping, Sequence
from typing import Any

from mssdf.evaluation.frozen import EvaluationSet, FeatureTable, MeasurementSettings

from .machine import git_revision


def describe_conditions(
    command: str,
    records: Sequence[Mapping[str, Any]],
    data: str,
    table: FeatureTable,
    sets: Sequence[EvaluationSet],
    settings: MeasurementSettings,
) -> list[str]:
    """List everything that a reader needs to repeat or to question the results.

    Args:
        command: command line of this call.
        records: records of the trainings.
        data: text on the number of tiles.
        table: table of the scores.
        sets: evaluation sets.
        settings: settings of the measurement.
    """
    lines = [f'Command: `{command}`']
    for title, key in (('Machine', 'machine'), ('torch', 'torch'), ('Threads', 'threads')):
        lines.append(f'{title}: {_different(records, key)}')
    lines.append(f'Revision: {_different(records, "revision")} trained, {git_revision()} scored')
    budgets = {str(record['conditions']['budget']) for record in records}
    lines.append(f'Budget of a training: {", ".join(sorted(budgets))}')
    lines.append(f'Seconds: {_different(records, "seconds_of")}')
    lines.append(f'Seeds: {_different(records, "seed")}')
    lines += [f'{name}: {text}' for name, text in _recipes(records).items()]
    lines.append(f'Data: {data}')
    lines += [f'Set {one.name}: {one.kind}, {_images(table, one.name)} images' for one in sets]

    shown = (
        f'{settings.img_size} pixels, {settings.scene_folds} folds of scenes, '
        f'{settings.dense_folds} folds of windows, seed {settings.seed}'
    )
    return [*lines, f'Scores: frozen features, {shown}; settings {settings.digest}']


def _different(records: Sequence[Mapping[str, Any]], key: str) -> str:
    """List the different values of the records, in their order."""
    return ', '.join(dict.fromkeys(str(record[key]) for record in records))


def _recipes(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Describe the settings of each entry that may differ from the others', by name."""
    found = {}
    for record in records:
        conditions = record['conditions']
        crops = conditions['crops']
        scale = ' to '.join(f'{part:g}' for part in crops['scale'])
        found[f'Recipe {record["name"]}'] = (
            f'{record["config"]}, {record["parameters"]:,} parameters in training, windows of '
            f'{crops["size"]} pixels at scale {scale}, batch size {conditions["batch_size"]}, '
            f'rate {record["lr"]:g}'
        )
    return found


def _images(table: FeatureTable, name: str) -> int:
    units = next(units[name] for units in table.units.values() if name in units)
    return int(table.store.read(units[min(units)])['images'])
