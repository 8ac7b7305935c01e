"""Summarize a pre-training run: its checkpoint, its newest picture and its kNN accuracies.

Usage: ``python tools/analysis_tools/summarize_run.py WORK_DIR``
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

KNN_KEY = 'knn/accuracy'


def read_scalars(work_dir: Path) -> list[dict[str, Any]]:
    """Read every line of every ``scalars.json`` under ``work_dir``, oldest run first.

    A line that a killed run left unfinished is skipped.
    """
    records = []
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return records


def newest(work_dir: Path, pattern: str) -> Path:
    """Find the file written last among those that match a pattern.

    Raises:
        FileNotFoundError: if no file matches.
    """
    found = sorted(work_dir.rglob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f'{work_dir}: expected a file {pattern}, found none')
    return found[-1]


def checkpoint_of(work_dir: Path) -> Path:
    """Find the checkpoint that ``last_checkpoint`` names, else the newest one.

    The name is also looked up in ``work_dir``, as a run may have been moved.

    Raises:
        FileNotFoundError: if there is no checkpoint.
    """
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file():
        named = Path(pointer.read_text().strip())
        for path in (named, work_dir / named.name):
            if path.is_file():
                return path
    return newest(work_dir, '*.pth')


def main() -> int:
    """Print the summary; return 1 if something that a complete run has is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'work_dir', type=Path, help='work directory of the run, --work-dir of tools/train.py'
    )

    work_dir = parser.parse_args().work_dir
    try:
        checkpoint, picture = checkpoint_of(work_dir), newest(work_dir, 'panels/*.png')
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1

    scores = [record for record in read_scalars(work_dir) if KNN_KEY in record]
    if len(scores) < 2:
        print(
            f'{work_dir}: expected {KNN_KEY} before and after training in scalars.json, '
            f'found {len(scores)} of them',
            file=sys.stderr,
        )
        return 1

    print(f'checkpoint    {checkpoint.resolve()}')
    print(f'picture       {picture.resolve()}')
    print(f'kNN accuracy  {scores[0][KNN_KEY]:.4f} untrained encoder')
    last = scores[-1]
    print(f'              {last[KNN_KEY]:.4f} after step {last.get("step", "?")}')
    if 'knn/gain' in last:
        print(
            f'              {last["knn/gain"]:+.4f} gained, 95 % interval '
            f'{last["knn/gain_low"]:+.4f} to {last["knn/gain_high"]:+.4f}'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
