"""Lists of samples, with a record of their making."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mssdf.utils.atomic_file import write_atomically


def write_lists(
    folder: Path, lists: Mapping[str, Sequence[str]], record: Mapping[str, Any]
) -> None:
    """Write ``NAME.txt`` of each list, and the record beside them.

    An existing list with the same content is kept. It is never overwritten, as earlier scores would
    no longer belong to it.

    Args:
        folder: folder of the lists.
        lists: lines of each list by its name.
        record: record of their making, which is written to ``NAME.json`` of the first list.

    Raises:
        FileExistsError: if a list exists with other content; nothing is written then.
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
