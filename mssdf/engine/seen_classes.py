"""Classes missing in the labels while many pixels are ignored, as in masks of 0 and 255."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mssdf.datasets.checks.label_maps import FIELDS, label_maps

from .data_check import DataCheckError, Findings, Labels

MOST_MAPS = 256  # largest number of label maps that are read where the samples leave doubts
RARE = 0.001  # share of pixels below which the ignored value is no class
RARE_OF_MANY = 0.05  # the same with several classes, where ignored pixels are common
TWO = (
    "masks of 0 and {ignored}? dict(type='mssdf.LoadBinaryMask') in the place of LoadAnnotations "
    'reads them as 0 and 1'
)
MANY = (
    'is {ignored} a class, as in masks of 0 and 255? label it {last}; if not, '
    "default_hooks.data_check.unseen='warn'"
)


def check_seen(dataset: Any, expected: dict[str, Labels], findings: Findings) -> None:
    """Refuse label maps whose ignored value seems to be a class.

    Where a class is missing in the samples, up to 256 label maps are read without their images.
    They are refused if the ignored value is frequent in the files and either only one of two
    classes occurs or, of more classes, all but the last one.

    Args:
        dataset: built dataset.
        expected: labels of each field of the data samples.
        findings: findings on the samples, with the labels that occur.

    Raises:
        DataCheckError: if a map is refused; the error says how masks of 0 and 255 are read.
    """
    for name, labels in expected.items():
        if name in FIELDS and name in findings.labels and not 0 <= labels.ignored < labels.count:
            if _suspicious(findings.labels[name], labels.count):
                _check_files(dataset, name, labels)


def _suspicious(seen: set[int], count: int) -> bool:
    """Tell whether the ignored value may stand for the missing class."""
    return count > 1 and (len(seen) <= 1 or seen == set(range(count - 1)))


def _check_files(dataset: Any, name: str, labels: Labels) -> None:
    """Read label maps until all classes are found; refuse them if a class is missing."""
    length = len(dataset)
    indices = np.unique(np.linspace(0, length - 1, min(MOST_MAPS, length)).round().astype(int))
    seen, held, maps = np.zeros(256, np.int64), np.zeros(256, np.int64), 0

    # Enough maps are read to find all classes, and no more.
    for loaded, values in label_maps(dataset, name, indices.tolist()):
        seen += _count(loaded)
        held += _count(values)
        maps += 1
        if not _suspicious(_known(seen, labels), labels.count):
            return

    known = _known(seen, labels)
    share = held[labels.ignored] / max(held.sum(), 1)
    several = len(np.flatnonzero(held)) > 1  # else nothing is labeled

    if several and share >= (RARE if len(known) <= 1 else RARE_OF_MANY):
        hint = TWO if labels.count == 2 else MANY
        raise DataCheckError(
            f'{name}: expected labels 0 to {labels.count - 1} ({labels.key}), found '
            f'{sorted(known) or "none"} and {labels.ignored} (ignored) in {share:.0%} of the '
            f'pixels of {maps} label maps: '
            + hint.format(ignored=labels.ignored, last=labels.count - 1)
        )


def _count(values: NDArray) -> NDArray[np.int64]:
    """Count the pixels of each value from 0 to 255; any other value counts as 255."""
    whole = np.where((values >= 0) & (values < 256), values, 255).astype(np.uint8)
    return np.bincount(whole.ravel(), minlength=256)


def _known(counts: NDArray[np.int64], labels: Labels) -> set[int]:
    """Return the classes that occur."""
    return set(np.flatnonzero(counts[: labels.count]).tolist())
