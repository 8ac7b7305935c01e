"""Checks of data against the model: its expectations, and a sample checked against them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.runner import Runner
from torch import Tensor, nn

from mssdf.datasets.annotations import check_annotations
from mssdf.distributed import unwrap
from mssdf.errors import UsageError, message_of, one_line

IGNORE = 255
# NumPy's ValueError on MMEngine's empty datasets, which no class or attribute tells from others
NOTHING_LEFT = 'need at least one array to concatenate'
FAR = 10.0  # standard deviations from the mean that normalized inputs seldom reach


class DataCheckError(UsageError):
    """An error in data that do not fit the model or cannot be read.

    It names the file, the config key, the expected value and the value that was found.
    """


@dataclass(frozen=True)
class Labels:
    """Labels that are allowed in one field of the data samples.

    Attributes:
        count: number of labels; 0 ... ``count`` - 1 are allowed.
        key: config key that sets the number.
        ignored: further value that is allowed and ignored.
    """

    count: int
    key: str
    ignored: int = IGNORE


@dataclass(frozen=True)
class Expectations:
    """Expectations of a model on its data.

    Attributes:
        bands: number of bands of the inputs, all dates together; None if it is unknown.
        bands_key: config key that sets the number of bands.
        labels: labels of each field of the data samples.
        max_depth: largest height that the model can predict, in meters; None for other tasks.
        num_dates: number of dates whose bands are stacked in the inputs.
        mean: mean of each band in the data preprocessor, if it normalizes.
        std: standard deviation of each band in the data preprocessor, if it normalizes.
        takes_nodata: whether the model reads NaN in the inputs as nodata.
    """

    bands: int | None = None
    bands_key: str = ''
    labels: dict[str, Labels] = field(default_factory=dict)
    max_depth: float | None = None
    num_dates: int = 1
    mean: Tensor | None = None
    std: Tensor | None = None
    takes_nodata: bool = False

    @property
    def num_classes(self) -> Labels | None:
        """Labels of the dataset's class names; None where they do not correspond one to one.

        With two dates the names may be those of the land cover, and the labels those of the change.
        """
        if self.max_depth is not None or self.num_dates > 1 or len(self.labels) != 1:
            return None
        return next(iter(self.labels.values()))


def expectations_of(model: Any) -> Expectations:
    """Derive the expectations of a model of mmpretrain, mmseg, mmdet or mmrotate."""
    model = unwrap(model)
    bands, bands_key = _bands_of(model)
    preprocessor: Any = getattr(model, 'data_preprocessor', None)
    normalizes = getattr(preprocessor, '_enable_normalize', False)
    max_depth = getattr(getattr(model, 'decode_head', None), 'max_depth', None)
    return Expectations(
        bands=bands,
        bands_key=bands_key,
        labels=dict(_labels_of(model)),
        max_depth=max_depth,
        num_dates=getattr(model, 'num_dates', 1),
        mean=preprocessor.mean.flatten().cpu() if normalizes else None,
        std=preprocessor.std.flatten().cpu() if normalizes else None,
        takes_nodata=getattr(getattr(model, 'backbone', None), 'takes_nodata', False),
    )


def _bands_of(model: Any) -> tuple[int | None, str]:
    """Return the number of bands that a model takes, and the config key that sets it."""
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        return None, ''
    dates = getattr(model, 'num_dates', 1)
    twice = f', for each of {dates} dates' if dates > 1 else ''
    if hasattr(backbone, 'modalities'):
        return dates * sum(backbone.modalities.values()), f'model.backbone.modalities{twice}'
    first = next((each for each in backbone.modules() if isinstance(each, nn.Conv2d)), None)
    if first is None:
        return None, ''
    return dates * first.in_channels, f'model.backbone.in_channels{twice}'


def _labels_of(model: Any) -> Iterator[tuple[str, Labels]]:
    """Yield each field of the data samples that a model learns from, with its labels."""
    if (head := getattr(model, 'decode_head', None)) is not None:
        ignored = getattr(head, 'ignore_index', IGNORE)
        yield 'gt_sem_seg', Labels(head.num_classes, 'model.decode_head.num_classes', ignored)
    if (head := getattr(model, 'land_cover_head', None)) is not None:
        for name in ('gt_first', 'gt_second'):  # label 0 is unchanged, label k + 1 is class k
            key = 'model.land_cover_head.num_classes + 1'
            yield name, Labels(head.num_classes + 1, key)
    if isinstance(count := getattr(getattr(model, 'head', None), 'num_classes', None), int):
        yield 'gt_label', Labels(count, 'model.head.num_classes')
    for path in ('bbox_head', 'roi_head.bbox_head'):
        owner = model
        for name in path.split('.'):
            owner = getattr(owner, name, None)
        if isinstance(owner, nn.ModuleList):  # the heads of a cascade
            owner = owner[-1]
        if owner is not None:
            yield 'gt_instances', Labels(owner.num_classes, f'model.{path}.num_classes')
            return


@dataclass
class Findings:
    """Findings on the samples of one dataset.

    Attributes:
        labels: labels that were found, per field.
        known: share of known pixels (or boxes) in each sample, per field.
        warnings: texts on what is unusual but possible.
    """

    labels: dict[str, set[int]] = field(default_factory=dict)
    known: dict[str, list[float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def check_sample(packed: dict, expected: Expectations, findings: Findings, training: bool) -> None:
    """Check one sample of a dataset against the expectations of the model.

    Args:
        packed: sample with ``inputs`` (C, H, W) and ``data_samples``; with test-time augmentation
            both are lists, of which the first entry is checked.
        expected: expectations of the model.
        findings: findings to which those of this sample are added.
        training: whether the sample is for training, where labels have the size of the inputs; else
            they have the size of the image on disk.

    Raises:
        DataCheckError: if something does not fit; the first fault is named.
    """
    inputs, sample = packed['inputs'], packed.get('data_samples')
    if isinstance(inputs, (list, tuple)):
        inputs, sample = inputs[0], sample[0] if sample else None
    _check_inputs(inputs, expected, findings)
    if sample is None:
        return
    size = tuple(inputs.shape[-2:])
    if not training:
        size = tuple(sample.metainfo.get('ori_shape', size))[:2]
    for name, labels in expected.labels.items():
        if name in sample:
            _check_labels(sample, name, labels, size, findings)
    if 'gt_depth_map' in sample:
        _check_heights(sample.gt_depth_map.data, expected, size, findings)


def _check_inputs(inputs: Tensor, expected: Expectations, findings: Findings) -> None:
    """Check the shape, the bands and the normalized values of the inputs."""
    shape = tuple(inputs.shape)
    if inputs.ndim != 3:
        raise DataCheckError(f'inputs: expected (bands, height, width), found the shape {shape}')

    bands = shape[0]
    if expected.bands is not None and bands != expected.bands:
        raise DataCheckError(
            f'inputs: expected {expected.bands} bands ({expected.bands_key}), found {bands} '
            f'(inputs of shape {shape})'
        )

    values = inputs.float()
    if expected.mean is not None and expected.std is not None:
        if len(expected.mean) not in (1, bands):
            raise DataCheckError(
                f'inputs: expected {len(expected.mean)} bands (one number each in '
                f'model.data_preprocessor.mean), found {bands}'
            )
        values = (values - expected.mean[:, None, None]) / expected.std[:, None, None]

    wrong = values.isinf() if expected.takes_nodata else ~values.isfinite()
    broken = int(wrong.sum())
    if broken:
        raise DataCheckError(
            'inputs: expected finite values after normalization, found NaN or infinite ones: '
            f'{broken} of {values.numel()} (nodata? mssdf.NormalizeBands makes it 0)'
        )
    distance = float(values.abs().nanmedian())
    if distance > FAR:
        findings.warnings.append(
            f'normalized inputs lie {distance:.0f} standard deviations from the mean: do mean and '
            f'std fit the data (here {float(inputs.float().min()):g} ... '
            f'{float(inputs.float().max()):g})?'
        )


def _check_labels(
    sample: Any, name: str, expected: Labels, size: tuple[int, ...], findings: Findings
) -> None:
    """Check the size and the values of the labels in one field."""
    values = values_of(sample, name)
    if values is None:  # a test set whose boxes are not public
        return
    if name not in ('gt_label', 'gt_instances') and tuple(values.shape[-2:]) != size:
        raise DataCheckError(
            f'{name}: expected labels of the size of the image, {_size(size)}, found '
            f'{_size(tuple(values.shape[-2:]))}'
        )
    check_values(name, values, expected)
    seen = set(torch.as_tensor(values).flatten().unique().tolist())
    valid = seen - {expected.ignored}
    findings.labels.setdefault(name, set()).update(int(value) for value in valid)
    findings.known.setdefault(name, []).append(float(bool(valid)))


def values_of(sample: Any, name: str) -> Any:
    """Return the labels in one field of a data sample; None for boxes without labels."""
    field = getattr(sample, name)
    if name == 'gt_label':
        return field
    if name == 'gt_instances':
        return field.labels if 'labels' in field else None
    return field.data


def check_values(name: str, labels: Any, expected: Labels) -> None:
    """Refuse labels that the model does not have; takes below 1 ms for 512 x 512 labels.

    Raises:
        DataCheckError: if there are such labels; the first ones are named.
    """
    values = torch.as_tensor(labels)
    if not values.numel():
        return
    low, high = (int(limit) for limit in torch.aminmax(values))
    if 0 <= low and high < expected.count:
        return

    if 0 <= low and high <= 255 and 0 <= expected.ignored <= 255:
        values = values.to(torch.uint8)  # less memory to read
    wrong = ((values < 0) | (values >= expected.count)) & (values != expected.ignored)
    if wrong.any():
        raise DataCheckError(
            f'{name}: expected labels 0 to {expected.count - 1} ({expected.key}) or '
            f'{expected.ignored} (unknown), found {values[wrong].unique()[:5].tolist()}'
        )


def _check_heights(
    heights: Tensor, expected: Expectations, size: tuple[int, ...], findings: Findings
) -> None:
    """Check the size of a map of heights, their unit and the largest one."""
    found = tuple(heights.shape[-2:])
    if found != size:
        raise DataCheckError(
            f'gt_depth_map: expected heights of the size of the image, {_size(size)}, found '
            f'{_size(found)}'
        )
    known = heights[torch.isfinite(heights)]
    findings.known.setdefault('gt_depth_map', []).append(known.numel() / max(heights.numel(), 1))
    if not known.numel() or expected.max_depth is None:
        return
    low, high = float(known.min()), float(known.max())
    outside = float(((known < 0) | (known > expected.max_depth)).float().mean())
    if outside:
        findings.warnings.append(
            f'{outside:.1%} of the heights lie outside 0 ... {expected.max_depth:g} m '
            f'(model.decode_head.max_depth): {low:g} ... {high:g} m'
        )


def _size(size: Sequence[int]) -> str:
    """Write a size as 'H x W'."""
    return ' x '.join(map(str, size))


def check_class_names(classes: Iterable[str] | None, expected: Expectations) -> None:
    """Check the number of the dataset's class names against that of the model's classes.

    Raises:
        DataCheckError: if the numbers differ.
    """
    names, model = list(classes or ()), expected.num_classes
    if names and model is not None and len(names) != model.count:
        shown = ', '.join(names[:6]) + (', ...' if len(names) > 6 else '')
        raise DataCheckError(
            f'classes: expected {model.count} names ({model.key}), found {len(names)}: {shown}'
        )


def build_loops(runner: Runner, *names: str) -> None:
    """Build the loops, and so the datasets, before anything else can fail.

    Args:
        runner: runner that is not running yet.
        names: names among ``'train'``, ``'val'`` and ``'test'``; those missing in the config are
            skipped.

    Raises:
        DataCheckError: if annotations do not fit or a dataset cannot be built.
    """
    for name in names:
        _check_annotations(f'{name}_dataloader', getattr(runner, 'cfg', {}))
        try:
            loop = getattr(runner, f'{name}_loop')
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, AssertionError) as error:
            raise DataCheckError(f'{name}_dataloader: {_reason(error)}') from error
        check_length(f'{name}_dataloader', getattr(loop, 'dataloader', None))


def _reason(error: Exception) -> str:
    """Describe in one line why a dataset cannot be built."""
    if isinstance(error, UsageError):
        return one_line(error)
    if isinstance(error, ValueError) and NOTHING_LEFT in message_of(error):
        return (
            'expected samples, found none: the annotations name no image, or filter_cfg leaves none'
        )
    return f'{type(error).__name__}: {one_line(error)}'  # it may not name what it is about


def _check_annotations(name: str, config: Mapping[str, Any]) -> None:
    """Check the annotations before the dataset, whose errors do not name the file, reads them."""
    try:
        check_annotations((config.get(name) or {}).get('dataset') or {})
    except (OSError, ValueError) as error:
        raise DataCheckError(f'{name}: {one_line(error)}') from error


def check_length(name: str, loader: Any) -> None:
    """Check that a loader has at least one batch.

    Raises:
        DataCheckError: if there are fewer samples than in a batch and incomplete batches are
            dropped.
    """
    sampler, size = getattr(loader, 'sampler', None), getattr(loader, 'batch_size', None)
    if isinstance(sampler, InfiniteSampler):
        return
    if size and getattr(loader, 'drop_last', False) and isinstance(sampler, Sized):
        samples = len(sampler)
        if samples < size:
            raise DataCheckError(
                f'{name}.batch_size: expected at most {samples}, the samples that an epoch has for '
                f'one process, found {size}; or {name}.drop_last=False'
            )
