"""DOTA's text files: eight coordinates, a class and a difficulty a line."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .lines import read_lines, shown

HEADERS = ('imagesource:', 'gsd:')
FIELDS = 10


def check_dota(dataset: Any) -> None:
    """Check all text files of a DOTA dataset as mmrotate reads them, headers not among them.

    Args:
        dataset: dataset that knows its ``ann_file`` (a folder) and its classes.

    Raises:
        ValueError: if a line does not fit; the error names it and the file.
    """
    if not dataset.ann_file:
        return
    classes = tuple(dataset.metainfo['classes'])
    for path in sorted(Path(dataset.ann_file).glob('*.txt')):
        for number, line in enumerate(read_lines(path), 1):
            if line.lower().startswith(HEADERS):
                raise ValueError(
                    f'{path}: line {number}: expected a box, found the header {line!r}; '
                    'tools/dataset_tools/split_dota.py leaves it out'
                )
            check_box(path, number, line, classes)


def check_raw(paths: Sequence[Path]) -> None:
    """Check text files as DOTA publishes them, before they are cut: headers are let pass.

    mmrotate's splitter leaves out lines that it does not understand.

    Raises:
        ValueError: if a line does not fit; the error names it and the file.
    """
    for path in paths:
        for number, line in _boxes(path):
            check_box(path, number, line, None)
            if line.split() != line.rstrip().split(' '):
                raise ValueError(
                    f'{path}: line {number}: expected single spaces between the fields, found '
                    f'{line!r}'
                )


def _boxes(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_lines(path), 1):
        if line.strip() and not line.lower().startswith(HEADERS):
            yield number, line


def check_box(path: Path, number: int, line: str, classes: Sequence[str] | None) -> None:
    """Check one line.

    Args:
        path: file, for the error.
        number: number of the line, from 1.
        line: text without its end.
        classes: names that a box may have; None lets any pass.

    Raises:
        ValueError: for another number of fields, a coordinate or difficulty that is no number, or
            an unknown class.
    """
    fields = line.split()
    start = f'{path}: line {number}: expected'
    if len(fields) != FIELDS:
        found = f'{len(fields)} fields: {line!r}' if fields else 'a blank line'
        missing = ' (no difficulty)' if len(fields) == FIELDS - 1 else ''
        raise ValueError(f'{start} 8 coordinates, a class and a difficulty, found {found}{missing}')
    for field in fields[:8]:
        if not _is_number(field):
            raise ValueError(f'{start} 8 coordinates, found {field!r}')
    if classes is not None and fields[8] not in classes:
        raise ValueError(f'{start} a class of {shown(classes)}, found {fields[8]!r}')
    if not fields[9].lstrip('-').isdigit():
        raise ValueError(f'{start} a difficulty (0 or 1), found {fields[9]!r}')


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
