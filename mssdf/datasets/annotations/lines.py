"""Lines of text files, with an error that names the file and the line."""

from collections.abc import Sequence
from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 file, without their ends.

    Raises:
        ValueError: for another encoding, or a byte order mark, which readers take for text.
    """
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b'\n') + 1
        raise ValueError(f'{path}: line {number}: expected UTF-8, found another encoding') from None
    if text.startswith('\ufeff'):
        raise ValueError(f'{path}: line 1: expected text, found a byte order mark before it')
    return text.splitlines()


def shown(names: Sequence[str], most: int = 6) -> str:
    """Join the first of some names, for an error."""
    return ', '.join(names[:most]) + (', ...' if len(names) > most else '')
