"""Check of the data before the first iteration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mssdf.datasets.checks.file_check import check_files
from mssdf.errors import ConfigError, one_line
from mssdf.registry import HOOKS
from mssdf.utils.randomness import preserved_rng

from ..batch_check import check_sizes
from ..data_check import (
    DataCheckError,
    Expectations,
    Findings,
    check_class_names,
    check_sample,
    expectations_of,
)
from ..label_values import check_batch
from ..nodata_check import lost_nodata
from ..seen_classes import check_seen

UNSEEN = ('stop', 'warn')
PATHS = ('img_path', 'img_path2', 'seg_map_path', 'seg_map_path2', 'depth_map_path')


@HOOKS.register_module()
class DataCheckHook(Hook):
    """A hook that checks the data against the model before training starts.

    It reads the headers of all files (missing files, sizes, bands) and puts some samples through
    their pipeline: bands against the backbone, labels against the heads, sizes of images and
    labels, normalized inputs against NaN, heights against the head's range, the loaded image
    against its file. In a validation or test of batches, it checks the sizes of all images; in the
    first epoch, the labels of every batch. Random states are left as they were.

    Args:
        num_samples: number of samples per dataset, evenly spread over it; 0 checks nothing.
        unseen: ``'stop'`` or ``'warn'``, for a class that never occurs while the ignored value is
            frequent, as in masks of 0 and 255.

    Raises:
        ValueError: if ``num_samples`` is negative or ``unseen`` is another word.
    """

    priority = 'VERY_HIGH'

    def __init__(self, num_samples: int = 8, unseen: str = 'stop') -> None:
        if num_samples < 0:
            raise ConfigError('DataCheckHook.num_samples', 'at least 0', num_samples)
        if unseen not in UNSEEN:
            raise ConfigError('DataCheckHook.unseen', f'one of {UNSEEN}', unseen)
        self.num_samples = num_samples
        self.unseen = unseen
        self._checked: set[str] = set()
        self._expected: Expectations | None = None
        self._batches = 0

    def before_train(self, runner: Runner) -> None:
        """Check the data of training and validation.

        Raises:
            DataCheckError: if something does not fit.
        """
        self._check(runner, 'train')
        if runner.val_loop is not None:
            self._check(runner, 'val')
        self._expected = expectations_of(runner.model)
        self._batches = len(runner.train_dataloader) if self.num_samples else 0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Check the labels of a batch of the first epoch.

        Raises:
            DataCheckError: if there is a label that the model does not have.
        """
        if self._batches and self._expected is not None:
            self._batches -= 1
            check_batch(data_batch, self._expected)

    def before_val(self, runner: Runner) -> None:
        """Check the data of validation, unless it was checked before training."""
        self._check(runner, 'val')

    def before_test(self, runner: Runner) -> None:
        """Check the data of the test and the place of its output."""
        check_place(getattr(runner.test_loop, 'evaluator', None))
        self._check(runner, 'test')

    def _check(self, runner: Runner, name: str) -> None:
        """Check the dataset of one loader once, and log the findings."""
        if name in self._checked or not self.num_samples:
            return
        self._checked.add(name)

        loader = getattr(runner, f'{name}_dataloader')
        dataset = loader.dataset
        expected = expectations_of(runner.model)

        # The check draws samples without changing the random state of the run.
        try:
            with preserved_rng(0):
                self._check_files(dataset)
                findings = check_dataset(dataset, expected, self.num_samples, name == 'train')
                self._check_seen(dataset, expected, findings)
        except DataCheckError as error:
            raise DataCheckError(f'{name}_dataloader: {error}') from error

        if name != 'train':
            check_sizes(f'{name}_dataloader', loader, runner.model)
        for warning in dict.fromkeys(findings.warnings):
            runner.logger.warning(f'{name}_dataloader: {warning}')

        seen = ', '.join(f'{key} {sorted(labels)}' for key, labels in findings.labels.items())
        count = min(self.num_samples, len(dataset))
        runner.logger.info(
            f'{name}_dataloader: {count} of {len(dataset)} samples checked'
            + (f'; labels seen: {seen}' if seen else '')
        )

    def _check_files(self, dataset: Any) -> None:
        """Check the headers of all files, on the main process."""
        if not is_main_process() or not hasattr(dataset, 'get_data_info'):
            return
        try:
            check_files(dataset, self.num_samples)
        except (OSError, ValueError) as error:
            raise DataCheckError(one_line(error)) from error

    def _check_seen(self, dataset: Any, expected: Expectations, findings: Findings) -> None:
        """Check for classes that never occur, and stop or warn."""
        try:
            check_seen(dataset, expected.labels, findings)
        except DataCheckError as error:
            if self.unseen == 'stop':
                raise
            findings.warnings.append(str(error))
        except ValueError as error:  # a label map that is not among the samples cannot be read
            raise DataCheckError(str(error)) from error


def check_place(evaluator: Any) -> None:
    """Check that mmrotate can write its files for DOTA's server after the test.

    Raises:
        DataCheckError: if their folder exists, which mmrotate refuses at the end of the test.
    """
    for metric in getattr(evaluator, 'metrics', ()):
        folder = getattr(metric, 'outfile_prefix', None)
        if getattr(metric, 'merge_patches', False) and folder and Path(folder).exists():
            raise DataCheckError(
                f'test_evaluator.outfile_prefix: expected a folder that is not there, found '
                f'{folder}; remove it or name another'
            )


def check_dataset(
    dataset: Any, expected: Expectations, num_samples: int, training: bool
) -> Findings:
    """Check some samples of a dataset against the expectations of a model.

    Args:
        dataset: dataset whose samples are dictionaries of ``inputs`` and ``data_samples``.
        expected: expectations of the model.
        num_samples: number of samples, evenly spread over the dataset.
        training: whether the samples are for training; see
            :func:`~mssdf.engine.data_check.check_sample`.

    Raises:
        DataCheckError: if the dataset is empty, or a sample cannot be read or does not fit.
    """
    length = len(dataset)
    if not length:
        raise DataCheckError(
            f'expected samples, found none in {getattr(dataset, "data_root", None) or "it"} '
            f'(data_prefix {getattr(dataset, "data_prefix", None)}, '
            f'ann_file {getattr(dataset, "ann_file", "")!r})'
        )

    classes = getattr(dataset, 'metainfo', {}).get('classes')
    check_class_names(classes, expected)
    _check_categories(dataset, classes)

    findings = Findings()
    if expected.takes_nodata and (lost := lost_nodata(dataset)):
        findings.warnings.append(lost)
    for index in np.unique(np.linspace(0, length - 1, num_samples).round().astype(int)).tolist():
        try:
            packed = dataset[index]
        except Exception as error:  # a pipeline may raise any type
            reason = one_line(error)
            raise DataCheckError(
                f'{name_of(dataset, index)}: cannot be read: {type(error).__name__}: {reason}'
            ) from error

        warned = len(findings.warnings)
        try:
            check_sample(packed, expected, findings, training)
        except DataCheckError as error:
            raise DataCheckError(f'{name_of(dataset, index, packed)}: {error}') from error
        findings.warnings[warned:] = [
            f'{name_of(dataset, index, packed)}: {text}' for text in findings.warnings[warned:]
        ]

    # An unknown value in all samples hints at a wrong unit or a wrong ignored value.
    for key, shares in findings.known.items():
        if not any(shares):
            if key == 'gt_depth_map':
                raise DataCheckError(
                    f'{key}: expected heights in meters, NaN where unknown, found none known in '
                    f'{len(shares)} samples'
                )
            findings.warnings.append(f'none of {len(shares)} samples has anything known in {key}')
    return findings


def _check_categories(dataset: Any, classes: Sequence[str] | None) -> None:
    """Check a COCO file's categories against the class names, as mmdet drops unknown ones."""
    found = getattr(dataset, 'cat_ids', None)
    if found is not None and classes is not None and len(found) != len(classes):
        raise DataCheckError(
            f'{getattr(dataset, "ann_file", "")}: expected a category for each of the '
            f'{len(classes)} classes {list(classes)[:6]}, found {len(found)} of these names'
        )


def name_of(dataset: Any, index: int, packed: dict | None = None) -> str:
    """Name the files of a sample, or its number."""
    sample = (packed or {}).get('data_samples')
    if isinstance(sample, (list, tuple)):
        sample = sample[0] if sample else None
    if sample is not None and sample.metainfo.get('img_path'):
        # A training dataset may have drawn another sample in place of an empty one.
        return str(sample.metainfo['img_path'])
    try:
        info = dataset.get_data_info(index)
        paths = [str(info[key]) for key in PATHS if info.get(key)]
    except (AttributeError, KeyError, TypeError):
        paths = []
    return ' + '.join(paths) or f'sample {index}'
