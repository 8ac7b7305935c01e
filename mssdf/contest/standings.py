"""Final table of a contest: each recipe's training, its data and its scores."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mssdf.evaluation.frozen import FeatureTable, Interval, Measure
from mssdf.evaluation.frozen.report import format_interval, format_pairs, write_summary
from mssdf.utils.atomic_file import write_atomically

FACTS = ('windows', 'seconds', 'windows_per_second')
WATCHED = ('position_', 'rank_')  # monitor values in the table; runs.csv has the others
COLUMNS_ACROSS = 4  # number of measures side by side
CSV_ENDS = {  # endings of the names of a measure's columns, with the keys of their values
    '': 'value',
    ' low': 'low',
    ' high': 'high',
    ' against': 'against',
    ' pairs': 'pairs',
    ' difference': 'difference',
    ' difference low': 'difference_low',
    ' difference high': 'difference_high',
}

Scores = Mapping[tuple[str, Measure], Mapping[str, Any]]


def training_figures(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Average the costs of each entry's trainings and the monitor's last values.

    Args:
        records: records of the trainings.

    Returns:
        For each entry's name ``seeds``, ``FACTS`` and the ``WATCHED`` values, averaged over seeds.
    """
    grouped: dict[str, list[dict[str, float]]] = {}
    for record in records:
        facts = {key: float(record[key]) for key in FACTS}
        facts |= {k: v for k, v in record['monitor'].items() if k.startswith(WATCHED)}
        grouped.setdefault(record['name'], []).append(facts)

    figures: dict[str, dict[str, Any]] = {}
    for name, found in grouped.items():
        figures[name] = dict(seeds=len(found))
        for key in dict.fromkeys(key for one in found for key in one):
            values = [one[key] for one in found if key in one]
            figures[name][key] = sum(values) / len(values)
    return figures


def write_standings(
    table: FeatureTable,
    records: Sequence[Mapping[str, Any]],
    against: str | None,
    conditions: Sequence[str],
    out: Path,
) -> str:
    """Write ``contest.md`` and ``contest.csv``.

    Args:
        table: table of the scores of entries and baselines.
        records: records of the trainings.
        against: name of the row that is subtracted; None for scores alone.
        conditions: lines below the tables.
        out: folder of the contest.

    Returns:
        Content of ``contest.md``.
    """
    rows = write_summary(table, against)
    scores = {(row['name'], Measure(*(row[key] for key in Measure._fields))): row for row in rows}
    figures = training_figures(records)

    _write_csv(table, figures, scores, out / 'contest.csv')
    text = format_standings(table, figures, scores, against, conditions)
    write_atomically(out / 'contest.md', text.encode())
    return text


def format_standings(
    table: FeatureTable,
    figures: Mapping[str, Mapping[str, Any]],
    scores: Scores,
    against: str | None,
    conditions: Sequence[str],
) -> str:
    """Lay out the tables as Markdown: the trainings, then each set's scores and differences.

    Args:
        table: table that the rows come from.
        figures: values of :func:`training_figures`.
        scores: rows of :func:`~mssdf.evaluation.frozen.report.summarize` by name and measure.
        against: name of the row that was subtracted.
        conditions: lines below the tables.
    """
    parts = ['# Contest', '## Training, means over seeds', _training_table(figures)]
    explained = (
        'Scores are means over seeds, with 95 % intervals over images and seeds (t distribution).'
    )

    if against is not None:
        explained += (
            f' Differences are paired, from `{against}`; where their interval excludes zero they '
            'are bold, with + for better and - for worse. (N pairs): only N seeds are in both '
            'rows and compared; 0: each row spreads by itself.'
        )

    parts.append(explained)
    for heading, measures in measure_groups(table.measures()):
        parts.append(f'## {heading}')
        parts.append(_score_table(table.names, measures, scores))
        if against is not None:
            others = [name for name in table.names if name != against]
            parts.append(f'Differences from `{against}`:')
            parts.append(_difference_table(table, others, measures, scores))

    parts += ['## Conditions', '\n'.join(f'- {line}' for line in conditions)]
    return '\n\n'.join(parts) + '\n'


def measure_groups(measures: Sequence[Measure]) -> Iterator[tuple[str, list[Measure]]]:
    """Split measures into groups of few columns: one set and input, one pooling and probe."""
    groups: dict[tuple[str, ...], list[Measure]] = {}
    for one in measures:
        probe = one.probe.partition('-')[0]  # all k of kNN are in one group
        pool = '' if probe == 'kNN' else one.pool
        groups.setdefault((one.set, one.input, probe, pool), []).append(one)
    for (set_name, given, probe, pool), members in groups.items():
        pooled = f', {pool}' if pool in ('cls', 'mean') else ''
        for first in range(0, len(members), COLUMNS_ACROSS):
            heading = f'{set_name}, {given}: {probe}{pooled}'
            yield heading, members[first : first + COLUMNS_ACROSS]


def _column(measure: Measure) -> str:
    """Format a short text for the head of a column, below a heading with set and input."""
    text = str(measure._replace(input='rgb')).removeprefix(f'{measure.set} ')
    return f'{text}, m' if measure.measure == 'RMSE' else text


def _training_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    watched = list(
        dict.fromkeys(key for row in figures.values() for key in row if key.startswith(WATCHED))
    )
    head = ['recipe', 'seeds', 'windows', 'seconds', 'windows/s']
    head += [key.replace('position_', 'position share ').replace('_', ' ') for key in watched]
    lines = []
    for name, row in figures.items():
        facts = [f'{row["windows"]:,.0f}', f'{row["seconds"]:.0f}']
        facts.append(f'{row["windows_per_second"]:.1f}')
        seen = [f'{row[key]:.3g}' if key in row else '' for key in watched]
        lines.append([name, str(row['seeds']), *facts, *seen])
    return _markdown(head, lines)


def _score_table(names: Sequence[str], measures: Sequence[Measure], scores: Scores) -> str:
    lines = []
    for name in names:
        cells = []
        for measure in measures:
            row = scores.get((name, measure))
            cells.append(
                format_interval(measure, row['value'], row['low'], row['high']) if row else ''
            )
        if any(cells):
            lines.append([name, *cells])
    return _markdown(['', *map(_column, measures)], lines)


def _difference_table(
    table: FeatureTable, names: Sequence[str], measures: Sequence[Measure], scores: Scores
) -> str:
    lines = []
    for name in names:
        cells = []
        for measure in measures:
            row = scores.get((name, measure), {})
            found = _difference(row)
            cells.append(f'{_marked(measure, found)}{format_pairs(table, row)}' if found else '')
        if any(cells):
            lines.append([name, *cells])
    return _markdown(['', *map(_column, measures)], lines)


def _difference(row: Mapping[str, Any] | None) -> Interval | None:
    if row is None or 'difference' not in row:
        return None
    return Interval(row['difference'], row['difference_low'], row['difference_high'])


def _marked(measure: Measure, found: Interval) -> str:
    text = format_interval(measure, found.value, found.low, found.high, sign=True)
    if not found.beyond_zero:
        return text
    better = (found.low > 0) != measure.less_is_better
    return f'**{text}** {"+" if better else "-"}'


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table with columns of even width, which is legible in a terminal too."""
    widths = [max(len(line[place]) for line in (head, *lines)) for place in range(len(head))]
    shown = [
        '| '
        + ' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        + ' |'
        for line in (head, *lines)
    ]
    rule = '|' + '|'.join('-' * (width + 2) for width in widths) + '|'
    return '\n'.join([shown[0], rule, *shown[1:]])


def _write_csv(
    table: FeatureTable,
    figures: Mapping[str, Mapping[str, Any]],
    scores: Scores,
    path: Path,
) -> None:
    """Write a row for each entry and baseline with all values."""
    rows = []
    for name in table.names:
        row: dict[str, Any] = dict(name=name, **figures.get(name, {}))
        for measure in table.measures():
            found = scores.get((name, measure))
            if found is None:
                continue
            row |= {f'{measure}{end}': found[key] for end, key in CSV_ENDS.items() if key in found}
            difference = _difference(found)
            if difference is not None:
                row[f'{measure} beyond zero'] = difference.beyond_zero
        rows.append(row)
    columns = list(dict.fromkeys(['name', 'seeds', *FACTS, *(key for row in rows for key in row)]))

    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval='')
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
