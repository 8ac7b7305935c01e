"""Tasks of the fine-tuning benchmark."""

import re
from dataclasses import dataclass

KINDS = dict(
    buildings=(
        'segmentation/mssdf_vit-t-p16-upernet_1xb8-adamw-200it_kampala-buildings-128.py',
        ('IoU', 'mIoU'),
    ),
    heights=(
        'height_estimation/mssdf_vit-t-p16-vpd_1xb8-adamw-200it_autzen-ign-128.py',
        ('RMSE', 'R2'),
    ),
    scenes=('classification/mssdf_vit-t-p16_1xb8-adamw-200it_eurosat-128.py', ('accuracy',)),
)
WITH_SHARES = ('buildings', 'scenes')
DEFAULT_TASKS = ('buildings-10', 'buildings', 'heights', 'scenes-10')


@dataclass(frozen=True)
class Task:
    """A data set, its downstream config, and the share of its labels in use.

    Attributes:
        name: name of the task, such as ``'buildings-10'``.
        kind: key of ``KINDS``, which is also the name of the data set.
        percent: share of the training labels in percent; 100 takes all.
    """

    name: str
    kind: str
    percent: int

    @property
    def config(self) -> str:
        """Path of the config under the folder ``configs``."""
        return KINDS[self.kind][0]

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores, the main one first."""
        return KINDS[self.kind][1]


def parse_task(name: str) -> Task:
    """Parse a task's name: ``buildings``, or ``buildings-10`` for ten percent of the labels.

    Raises:
        ValueError: if no task has this name.
    """
    match = re.fullmatch(r'([a-z]+)(?:-(\d{1,2}))?', name)
    kind, percent = (match[1], int(match[2] or 100)) if match else ('', 0)
    if kind not in KINDS or not percent or (percent < 100 and kind not in WITH_SHARES):
        raise ValueError(
            f'task: expected one of {list(KINDS)}, for {" and ".join(WITH_SHARES)} '
            f'also with the percentage of labels, such as buildings-10, found {name!r}'
        )
    return Task(name, kind, percent)
