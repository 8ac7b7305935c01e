"""Tables of a contest's trainings."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mssdf.utils.atomic_file import write_atomically

COLUMNS = (
    'name', 'seed', 'windows', 'iterations', 'seconds', 'seconds_of', 'wall_seconds',
    'windows_per_second', 'parameters', 'peak_memory_mib', 'machine', 'torch', 'threads',
    'revision', 'config', 'checkpoint', 'command',
)  # fmt: skip


def flat_row(record: dict[str, Any]) -> dict[str, Any]:
    """Flatten a record to one row of a table, with the last logged values after its facts."""
    row = {key: record[key] for key in COLUMNS}
    row |= {f'step_seconds.{key}': value for key, value in record['step_seconds'].items()}
    return row | {f'last.{key}': value for key, value in record['monitor'].items()}


def write_runs(records: Sequence[dict[str, Any]], out: Path) -> str:
    """Write ``runs.jsonl`` and ``runs.csv`` with a row per training; return a short table."""
    lines = ''.join(json.dumps(record) + '\n' for record in records)
    write_atomically(out / 'runs.jsonl', lines.encode())
    rows = [flat_row(record) for record in records]
    names = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names)
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(out / 'runs.csv', buffer.getvalue().encode())
    return runs_table(records)


def runs_table(records: Sequence[dict[str, Any]]) -> str:
    """Format a Markdown table of the cost of each training."""
    lines = [
        '| recipe | seed | windows | seconds | windows/s | peak MiB | last figures |',
        '|---|---|---|---|---|---|---|',
    ]
    for record in records:
        figures = ', '.join(f'{key} {value:.3g}' for key, value in record['monitor'].items())
        lines.append(
            f'| {record["name"]} | {record["seed"]} | {record["windows"]:,} | '
            f'{record["seconds"]:.0f} | {record["windows_per_second"]:.1f} | '
            f'{record["peak_memory_mib"]:.0f} | {figures} |'
        )
    return '\n'.join(lines)
