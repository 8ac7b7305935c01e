"""Lists of the images in DIOR's splits."""

from collections.abc import Sequence
from pathlib import Path

from mssdf.errors import MissingFileError
from mssdf.utils.text_files import read_text


def read_splits(root: Path, splits: Sequence[str]) -> dict[str, list[str]]:
    """Read the names of the images of each split from ``ImageSets/Main``.

    Raises:
        FileNotFoundError: if a list is missing.
        ValueError: if a list is empty, or a name is in two places.
    """
    names: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for split in splits:
        listed = root / f'ImageSets/Main/{split}.txt'
        if not listed.is_file():
            raise MissingFileError(listed, 'a file')
        names[split] = read_text(listed).split()
        if not names[split]:
            raise ValueError(f'{listed}: expected names of images, found none')
        for name in names[split]:
            if name in seen:
                raise ValueError(
                    f'{listed}: expected each image once, found {name} in {seen[name]}.txt too'
                )
            seen[name] = split
    return names
