"""Lists of samples, and a record of how they came about."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mssdf.utils.atomic_file import write_atomically


def write_lists(
    folder: Path, lists: Mapping[str, Sequence[str]], record: Mapping[str, Any]
) -> None:
    """Write ``NAME.txt`` of each list, and the record beside them.

    A list that is there already is left alone if it says the same; it is never overwritten:
    scores that were taken with it would no longer mean what they say.

    Args:
        folder: to write to.
        lists: lines by name.
        record: how they were made; goes to ``NAME.json`` of the first list.

    Raises:
        FileExistsError: if a list is there that says something else; nothing is written then.
    """
    contents = {folder / f'{name}.txt': '\n'.join(lines) + '\n' for name, lines in lists.items()}
    for path, content in contents.items():
        if path.exists() and path.read_text() != content:
            raise FileExistsError(
                f'{path}: expected no list, or the same one, found another of '
                f'{len(path.read_text().splitlines())} lines (another seed or share?)'
            )
    for path, content in contents.items():
        write_atomically(path, content.encode())
    first = next(iter(contents))
    counts = {name: len(lines) for name, lines in lists.items()}
    text = json.dumps(dict(record, counts=counts), indent=1)
    write_atomically(first.with_suffix('.json'), text.encode())
