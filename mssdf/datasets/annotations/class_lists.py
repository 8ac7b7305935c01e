"""Lists of images and labels of scene classification."""

from pathlib import Path
from typing import Any

from .lines import read_lines


def check_list(dataset: Any) -> None:
    """Check a list of ``path label`` lines as mmpretrain reads them.

    Args:
        dataset: mmpretrain's ``CustomDataset``.

    Raises:
        ValueError: if a line does not fit; the error names it.
    """
    path = Path(dataset.ann_file)
    if not dataset.ann_file or not dataset.with_label or not path.is_file():
        return
    classes = dataset.metainfo.get('classes')
    for number, line in enumerate(read_lines(path), 1):
        name, _, label = line.strip().rpartition(' ')
        if not name or not (label.isascii() and label.isdigit()):
            raise ValueError(
                f'{path}: line {number}: expected a path and a label, found {line!r}'
                if line.strip()
                else f'{path}: line {number}: expected a path and a label, found a blank line'
            )
        if classes is not None and int(label) >= len(classes):
            raise ValueError(
                f'{path}: line {number}: expected a label from 0 to {len(classes) - 1} '
                f'({len(classes)} classes), found {label}'
            )
