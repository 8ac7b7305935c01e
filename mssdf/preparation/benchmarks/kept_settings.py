"""Record of the settings that an output was made with."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mssdf.utils.atomic_file import write_atomically


def keep_settings(path: Path, settings: Mapping[str, Any], made: Iterable[Path]) -> None:
    """Write the settings beside the output, or check them against those of the first run.

    Existing files are not made again, so with other settings the output would be a mixture.

    Args:
        path: path of the JSON file.
        settings: settings by name; None marks one that does not concern this run.
        made: existing files; without any, no mixture is possible.

    Raises:
        ValueError: if a setting differs from the record, or the record cannot be read.
    """
    before: dict[str, Any] = {}
    if path.is_file() and next(iter(made), None) is not None:
        before = _read(path)
    given = {key: value for key, value in settings.items() if value is not None}
    for key, value in given.items():
        if before.get(key, value) != value:
            raise ValueError(
                f'{path}: expected {key} {before[key]}, as of the files that are there, '
                f'found {value}; for another setting start in an empty folder'
            )
    write_atomically(path, json.dumps({**before, **given}, indent=1).encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f'{path}: expected the settings of an earlier run, found {error}'
        ) from None
    if not isinstance(settings, dict):
        raise ValueError(f'{path}: expected the settings of an earlier run, found {settings!r}')
    return settings
