"""Index files: which scenes there are, written by hand or by any program."""

import csv
import json
import os
import reprlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from mssdf.errors import FileError, Words, one_line
from mssdf.utils.allowances import ALLOW, allowed, lies_below
from mssdf.utils.text_files import read_text

from .access import VIRTUAL, is_network
from .opening import check_virtual

SEPARATORS = (',', ';', '\t')
SUFFIXES = ('.json', '.yaml', '.yml', '.csv')


def read_index(path: Path, modalities: Collection[str]) -> list[tuple[str, Any]]:
    """Read the entries of an index, each with its place for messages.

    Args:
        path: JSON, YAML or CSV file, in any encoding of
            :func:`~mssdf.utils.text_files.read_text`.
        modalities: names that may head a column of a CSV file, beside ``name``.

    Raises:
        ValueError: if it cannot be read; the error names file and line.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileError(
            path, 'a .json, .yaml, .yml or .csv index of scenes', Words(suffix or 'no suffix')
        )
    text = read_text(path)
    if suffix == '.csv':
        return _read_table(path, text, modalities)
    content = _read_tree(path, text, suffix)
    scenes = content['scenes'] if isinstance(content, dict) and 'scenes' in content else content
    if not isinstance(scenes, list) or not scenes:
        raise ValueError(f'{path}: expected a list of scenes, found {reprlib.repr(scenes)}')
    return [(f'{path}[{number}]', entry) for number, entry in enumerate(scenes)]


def _read_tree(path: Path, text: str, suffix: str) -> Any:
    try:
        return _read_json(path, text) if suffix == '.json' else _read_yaml(path, text)
    except RecursionError:
        raise ValueError(f'{path}: expected a list of scenes, found lists in lists') from None


def _read_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if 'escape' not in error.msg:  # YAML has escapes of its own
            try:
                return yaml.safe_load(text.expandtabs(1))  # takes a comma too many
            except yaml.YAMLError:
                pass
        reason = error.msg[:1].lower() + error.msg[1:]
        raise ValueError(f'{path}:{error.lineno}: expected JSON, found {reason}') from None


def _read_yaml(path: Path, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        problem = getattr(error, 'problem', None) or one_line(error)
        line = mark.line + 1 if mark else 1
        raise ValueError(f'{path}:{line}: expected YAML, found {problem}') from None


def _read_table(path: Path, text: str, modalities: Collection[str]) -> list[tuple[str, Any]]:
    """Read rows by the names of their columns, without blank rows and cells behind the last."""
    known = {'name', *modalities}
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not _says_nothing(line)), '')
    separator = max(SEPARATORS, key=lambda mark: len(known & set(_cells(first, mark))))
    head: list[str] = []
    entries = []
    for where, cells in _rows(path, lines, separator):
        if not head:
            head = _head(where, cells, known)
            continue
        if any(cells[len(head) :]):
            raise FileError(
                where, f'at most {len(head)} cells ({separator.join(head)})', len(cells)
            )
        entries.append((where, dict(zip(head, cells, strict=False))))
    if not entries:
        raise ValueError(f'{path}: expected a list of scenes, found none')
    return entries


def _rows(path: Path, lines: Sequence[str], separator: str) -> Iterator[tuple[str, list[str]]]:
    """Place and cells of each row that is neither blank nor a comment."""
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells) and not _says_nothing(row[0]):
                yield f'{path}:{rows.line_num}', cells
    except csv.Error as error:
        raise ValueError(f'{path}:{rows.line_num}: expected cells, found {error}') from None


def _says_nothing(line: str) -> bool:
    """Tell whether a line is a comment, or names the separator as Excel does."""
    return line.startswith('#') or line.strip().rstrip(',;').lower() == 'sep='


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(separator)]


def _head(where: str, cells: list[str], known: Collection[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    if '' in cells or len(set(cells)) < len(cells):
        raise FileError(where, f'the names of columns, some of {sorted(known)}', cells)
    return cells


def path_in_index(where: str, value: str, base: str) -> str:
    """Resolve a path that an index names, which is the index's choice and not the user's.

    Args:
        where: place of the entry, for messages.
        value: path as it stands; with backslashes too, as Windows writes it.
        base: folder that relative paths count from, and that all must lie below.

    Raises:
        ValueError: for a path that leads to a server or out of the folder, unless ``MSSDF_ALLOW``
            says so.
        OSError: for a VRT of which that is so.
    """
    value = os.path.expanduser(value.strip())
    if not value.isprintable():
        raise FileError(where, 'a path', value, note='a backslash is written twice in JSON')
    if is_network(value):
        if not allowed('network'):
            raise FileError(
                where, 'a file of this machine', value, note=f'{ALLOW}=network reads it'
            )
        return value

    path = os.path.join(base, value)
    if '\\' in value and not os.path.exists(path):
        path = os.path.join(base, value.replace('\\', '/'))

    # an index may come from anywhere: what it names must not lead out of its folder
    root = base or os.curdir
    if not allowed('outside') and not lies_below(path, root):
        raise FileError(
            where, f'a file below {os.path.abspath(root)}', value, note=f'{ALLOW}=outside reads it'
        )
    if path.lower().endswith(VIRTUAL) and os.path.isfile(path):
        check_virtual(path, root)
    return path
