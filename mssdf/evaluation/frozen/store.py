"""Results on disk: one unit for each encoder and set, and the table of all units."""

import csv
import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mssdf.utils.atomic_file import partial_file, remove_partial_files, write_atomically

from .probing import Probed
from .scores import SCORES

Types = type | tuple[type, ...]

UNITS = 'units'
# Keys that are read from each file, with the types of their values.
TABLE: dict[str, Types] = dict(latest=str, rows=list)
ROW: dict[str, Types] = dict(name=str, run=int, set=str, unit=str, settings=str)
UNIT: dict[str, Types] = dict(
    names=list, groups=(list, type(None)), images=int, patch=int, normalization=str,
    seconds=(int, float), fingerprint=str, results=list,
)  # fmt: skip
RESULT: dict[str, Types] = dict(
    input=str, probe=str, pool=str, labels=(int, float), measures=list, details=dict, array=str
)
COLUMNS = (
    'name', 'run', 'set', 'input', 'probe', 'pool', 'labels', 'measure', 'value', 'low', 'high',
    'images', 'k', 'folds', 'metric', 'penalty', 'training', 'level', 'patch', 'img_size',
    'normalization', 'seconds', 'checkpoint', 'unit', 'fingerprint', 'settings',
)  # fmt: skip


class ResultStore:
    """A folder of results.

    The results of one encoder on one set are a unit: a JSON file that describes the measurement,
    and an NPZ file with the sums over each image, from which any interval follows. Both are written
    completely or not at all, the JSON file last.

    Args:
        folder: folder of the results.

    Raises:
        ValueError: if the path is not a folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            (self.folder / UNITS).mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(
                f'{self.folder}: expected a folder for results, found a file'
            ) from None
        self._readable: set[str] = set()  # names of the units that were found readable
        remove_partial_files(self.folder)
        remove_partial_files(self.folder / UNITS)

    def has(self, unit: str) -> bool:
        """Tell whether a unit can be read; a damaged one counts as missing."""
        if unit not in self._readable:
            try:
                readable = _is_readable(self.read(unit), self.sums(unit))
            except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile, zlib.error):
                return False
            if not readable:
                return False
            self._readable.add(unit)
        return True

    def write(
        self, unit: str, header: Mapping[str, Any], results: Mapping[str, Sequence[Probed]]
    ) -> None:
        """Write a unit.

        Args:
            unit: name of the unit, a hash of all that its figures depend on.
            header: description that all results of the unit share.
            results: results by the name of the input.
        """
        arrays: dict[str, Any] = {}
        found = []

        for name, probed in results.items():
            for one in probed:
                key = f'a{len(arrays)}'
                arrays[key] = one.sums
                found.append(
                    dict(
                        input=name,
                        probe=one.probe,
                        pool=one.pool,
                        labels=one.labels,
                        measures=list(one.measures),
                        details=one.details,
                        array=key,
                    )
                )

        # The JSON file comes last: it marks the unit as complete.
        with partial_file(self._path(unit, 'npz')) as partial, open(partial, 'wb') as file:
            np.savez_compressed(file, **arrays)
        self._write_json(self._path(unit, 'json'), dict(header, results=found))

    def read(self, unit: str) -> dict[str, Any]:
        """Read the description of a unit; ``results`` are as :meth:`write` lists them."""
        return json.loads(self._path(unit, 'json').read_text())

    def sums(self, unit: str) -> dict[str, NDArray[np.float64]]:
        """Read the sums over each image, by the name of the array."""
        with np.load(self._path(unit, 'npz')) as file:
            return {key: file[key] for key in file.files}

    def write_table(self, records: Sequence[Mapping[str, Any]], header: Mapping[str, Any]) -> None:
        """Write ``table.json`` and ``table.csv``.

        Existing rows of other names, sets or settings are kept.

        Args:
            records: rows with the keys ``COLUMNS``.
            header: further keys of the JSON file.
        """
        replaced = {_place(record) for record in records}
        kept = [record for record in self.records() if _place(record) not in replaced]
        rows = [*kept, *records]
        self._write_json(self.folder / 'table.json', dict(header, rows=rows))
        self.write_csv('table.csv', rows, COLUMNS)

    def write_csv(
        self, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]
    ) -> None:
        """Write a CSV file into the folder."""
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval='', extrasaction='ignore')
        writer.writeheader()
        writer.writerows({k: '' if v is None else v for k, v in row.items()} for row in rows)
        write_atomically(self.folder / name, text.getvalue().encode())

    def records(self) -> list[dict[str, Any]]:
        """Return the rows of ``table.json``; none if there is no table."""
        return list(self.header().get('rows', []))

    def header(self) -> dict[str, Any]:
        """Return the content of ``table.json``; empty if there is no such file.

        Raises:
            ValueError: if the file is not a table.
        """
        path = self.folder / 'table.json'
        if not path.is_file():
            return {}
        try:
            content = json.loads(path.read_text())
        except ValueError as error:  # not JSON, or not text at all
            raise ValueError(f'{path}: expected a table of features, found: {error}') from None
        fault = _fault_of(content, TABLE)
        if fault:
            raise ValueError(f'{path}: expected a table of features, found {fault}')
        for number, row in enumerate(content['rows']):
            fault = _fault_of(row, ROW)
            if fault:
                raise ValueError(f'{path}: rows[{number}]: expected a measurement, found {fault}')
        return content

    def _path(self, unit: str, end: str) -> Path:
        return self.folder / UNITS / f'{unit}.{end}'

    def _write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        write_atomically(
            path, (json.dumps(content, indent=1, default=_plain) + os.linesep).encode()
        )


def _fault_of(content: Any, expected: Mapping[str, Types]) -> str:
    """Describe a deviation from a dictionary of the expected keys; empty if there is none."""
    if not isinstance(content, dict):
        return f'{type(content).__name__} instead of a dictionary'
    lacking = [key for key in expected if key not in content]
    if lacking:
        return f'none of the keys {lacking}' if len(lacking) > 1 else f'no key {lacking[0]!r}'
    for key, types in expected.items():
        if not isinstance(content[key], types) or isinstance(content[key], bool):
            return f'{type(content[key]).__name__} in {key!r}'
    return ''


def _is_readable(header: Any, arrays: Mapping[str, NDArray]) -> bool:
    """Tell whether a unit has everything that is read from it."""
    if _fault_of(header, UNIT) or not header['results']:
        return False
    count = len(header['names'])
    groups = header['groups']
    if groups is not None and not (len(groups) == count and all(type(g) is int for g in groups)):
        return False
    return all(
        not _fault_of(one, RESULT)
        and set(one['measures']) <= set(SCORES)
        and one['array'] in arrays
        and arrays[one['array']].ndim == 2
        and len(arrays[one['array']]) == count
        for one in header['results']
    )


def _place(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return name, set and settings, by which a later measurement replaces a row."""
    return record['name'], record['set'], record['settings']


def _plain(value: Any) -> Any:
    """Convert a NumPy number or a path for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f'expected a plain value, found {type(value).__name__}')
