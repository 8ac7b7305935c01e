"""Tables of results as text and as a file: scores with intervals, and paired differences."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .bootstrap import Interval
from .table import FeatureTable, Measure

NAMES_ACROSS = 6  # number of columns in one block
SUMMARY_COLUMNS = (
    'name', 'set', 'input', 'probe', 'pool', 'labels', 'measure', 'runs', 'value', 'low', 'high',
    'against', 'pairs', 'difference', 'difference_low', 'difference_high',
)  # fmt: skip


def summarize(table: FeatureTable, against: str | None = None) -> list[dict[str, Any]]:
    """List the mean scores over runs (seeds), their intervals, and differences from a row.

    ``pairs`` is the number of runs that both rows of a difference have and over which it is taken;
    it is 0 if they have none in common, and missing if one of them has a single run.

    Args:
        table: table of results.
        against: name of the row that is subtracted; None gives scores alone.

    Returns:
        Dictionaries with the keys ``SUMMARY_COLUMNS``, measure by measure.

    Raises:
        KeyError: if the table has no row ``against``.
    """
    if against is not None and against not in table.units:
        raise KeyError(f'against: expected one of {table.names}, found {against!r}')

    rows = []
    for measure in table.measures():
        for name in table.names:
            score = table.score(name, measure)
            if score is None:
                continue

            row: dict[str, Any] = dict(name=name, **measure._asdict())
            row['runs'] = len(table.runs(name, measure.set))
            row |= dict(value=score.value, low=score.low, high=score.high)

            if against is not None and name != against:
                gain = table.difference(name, against, measure)
                if gain is not None:
                    row |= dict(against=against, difference=gain.value)
                    row |= dict(difference_low=gain.low, difference_high=gain.high)
                    if min(row['runs'], len(table.runs(against, measure.set))) > 1:
                        row['pairs'] = len(table.pairs(name, against, measure.set))

            rows.append(row)
    return rows


def write_summary(table: FeatureTable, against: str | None = None) -> list[dict[str, Any]]:
    """Write ``summary.csv`` beside the table; return its rows."""
    rows = summarize(table, against)
    table.store.write_csv('summary.csv', rows, SUMMARY_COLUMNS)
    return rows


def format_table(table: FeatureTable, rows: Sequence[dict[str, Any]], against: str | None) -> str:
    """Lay out the rows of :func:`summarize` with measures down and names across.

    Args:
        table: table that the rows come from.
        rows: rows of :func:`summarize`.
        against: name of the row that was subtracted.
    """
    measures = table.measures()
    by_place = {(row['name'], Measure(*(row[key] for key in Measure._fields))): row for row in rows}

    def score(name: str, measure: Measure) -> str:
        row = by_place.get((name, measure))
        return (
            '' if row is None else format_interval(measure, row['value'], row['low'], row['high'])
        )

    def gain(name: str, measure: Measure) -> str:
        row = by_place.get((name, measure))
        if row is None or 'difference' not in row:
            return ''
        found = Interval(row['difference'], row['difference_low'], row['difference_high'])
        better = (found.value > 0) != measure.less_is_better
        mark = ('+' if better else '-') if found.beyond_zero else ' '
        text = format_interval(measure, found.value, found.low, found.high, sign=True)
        return f'{text} {mark}{format_pairs(table, row)}'

    names = table.names
    heads = {
        name: f'{name} ({runs} runs)' if (runs := _runs(table, name)) > 1 else name
        for name in names
    }
    parts = ['Scores, mean over runs, with 95 % intervals over images and runs']
    parts += _blocks(names, heads, measures, score)
    if against is not None:
        parts.append(
            f"Differences from '{against}', paired; + better and - worse beyond the interval"
        )
        if any('pairs' in row and format_pairs(table, row) for row in rows):
            parts[-1] += (
                '\n(N pairs): only N runs (seeds) are in both rows and compared; 0: each row '
                'spreads by itself'
            )
        others = [name for name in names if name != against]
        parts += _blocks(others, heads, measures, gain)
    return '\n\n'.join(parts)


def format_interval(
    measure: Measure, value: float, low: float, high: float, sign: bool = False
) -> str:
    """Format a score with its interval: meters with two decimals, shares with three."""
    digits = 2 if measure.measure == 'RMSE' else 3
    plus = '+' if sign else ''
    return f'{value:{plus}.{digits}f} [{low:{plus}.{digits}f}, {high:{plus}.{digits}f}]'


def format_pairs(table: FeatureTable, row: Mapping[str, Any]) -> str:
    """Format the number of pairs of a difference, if it is below the number of runs.

    Args:
        table: table that the row comes from.
        row: row of :func:`summarize`.
    """
    if 'pairs' not in row:
        return ''
    pairs, runs = row['pairs'], len(table.runs(row['against'], row['set']))
    if pairs == max(row['runs'], runs):
        return ''
    return f' ({pairs} pair)' if pairs == 1 else f' ({pairs} pairs)'


def _runs(table: FeatureTable, name: str) -> int:
    return max(len(units) for units in table.units[name].values())


def _blocks(
    names: Sequence[str],
    heads: dict[str, str],
    measures: Sequence[Measure],
    cell: Callable[[str, Measure], str],
) -> list[str]:
    """Format blocks of at most ``NAMES_ACROSS`` columns."""
    blocks = []
    for first in range(0, len(names), NAMES_ACROSS):
        some = names[first : first + NAMES_ACROSS]
        lines = [['', *(heads[name] for name in some)]]
        lines += [[str(measure), *(cell(name, measure) for name in some)] for measure in measures]
        widths = [max(len(line[column]) for line in lines) for column in range(len(some) + 1)]
        blocks.append(
            '\n'.join(
                '  '.join(
                    text.ljust(width) for text, width in zip(line, widths, strict=True)
                ).rstrip()
                for line in lines
            )
        )
    return blocks
