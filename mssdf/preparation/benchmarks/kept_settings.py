"""The settings that what is there was made with."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mssdf.utils.atomic_file import write_atomically


def keep_settings(path: Path, settings: Mapping[str, Any], made: Iterable[Path]) -> None:
    """Write settings down beside the output, or see that they are those of the first run.

    What is there is not made again; made with other settings, the output would be a mixture.

    Args:
        path: json to write.
        settings: by name; None says that this run has nothing to do with one.
        made: files that are there; without any, there is nothing to mix with.

    Raises:
        ValueError: if a setting is another one than before, or they cannot be read.
    """
    before: dict[str, Any] = {}
    if path.is_file() and next(iter(made), None) is not None:
        before = _read(path)
    given = {key: value for key, value in settings.items() if value is not None}
    for key, value in given.items():
        if before.get(key, value) != value:
            raise ValueError(
                f'{path}: what is there was made with {key} {before[key]}, found {value}; for '
                'another setting start in an empty folder'
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
