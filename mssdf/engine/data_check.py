"""Tell whether data fit the model: what the model expects, and one sample held against it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.runner import Runner
from torch import Tensor, nn

from mssdf.datasets.annotations import check_annotations
from mssdf.distributed import unwrap
from mssdf.errors import UsageError

IGNORE = 255
NOTHING_LEFT = 'need at least one array to concatenate'  # of MMEngine's datasets without a sample
FAR = 10.0  # deviations from the mean that normalized inputs do not usually have


class DataCheckError(UsageError):
    """Data that do not fit the model, or cannot be read: file, config key, expected and found."""


@dataclass(frozen=True)
class Labels:
    """Labels of one field of the data samples.

    Attributes:
        count: allowed are 0 ... ``count`` - 1.
        key: of the config, that says so.
        ignored: value that is allowed besides.
    """

    count: int
    key: str
    ignored: int = IGNORE


@dataclass(frozen=True)
class Expectations:
    """What a model takes.

    Attributes:
        bands: of its inputs, all dates together; None if that cannot be told.
        bands_key: of the config, that says so.
        labels: of each field of the data samples.
        max_depth: meters of the highest height that it can answer.
        num_dates: whose bands stand behind each other in the inputs.
        mean: numbers of the data preprocessor, if it normalizes.
        std: likewise.
    """

    bands: int | None = None
    bands_key: str = ''
    labels: dict[str, Labels] = field(default_factory=dict)
    max_depth: float | None = None
    num_dates: int = 1
    mean: Tensor | None = None
    std: Tensor | None = None

    @property
    def num_classes(self) -> Labels | None:
        """Labels that the dataset's class names stand for; None where they are not one to one.

        With two dates the names may be those of land covers, and the labels of the change.
        """
        if self.max_depth is not None or self.num_dates > 1 or len(self.labels) != 1:
            return None
        return next(iter(self.labels.values()))


def expectations_of(model: Any) -> Expectations:
    """Look at a model of mmpretrain, mmseg, mmdet or mmrotate."""
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
    )


def _bands_of(model: Any) -> tuple[int | None, str]:
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
    if (head := getattr(model, 'decode_head', None)) is not None:
        ignored = getattr(head, 'ignore_index', IGNORE)
        yield 'gt_sem_seg', Labels(head.num_classes, 'model.decode_head.num_classes', ignored)
    if (head := getattr(model, 'land_cover_head', None)) is not None:
        for name in ('gt_first', 'gt_second'):  # 0 is unchanged, k + 1 is class k
            key = 'model.land_cover_head.num_classes + 1'
            yield name, Labels(head.num_classes + 1, key)
    if isinstance(count := getattr(getattr(model, 'head', None), 'num_classes', None), int):
        yield 'gt_label', Labels(count, 'model.head.num_classes')
    for path in ('bbox_head', 'roi_head.bbox_head'):
        owner = model
        for name in path.split('.'):
            owner = getattr(owner, name, None)
        if isinstance(owner, nn.ModuleList):  # of a cascade
            owner = owner[-1]
        if owner is not None:
            yield 'gt_instances', Labels(owner.num_classes, f'model.{path}.num_classes')
            return


@dataclass
class Findings:
    """What the samples of one dataset had in common.

    Attributes:
        labels: that were seen, per field.
        known: share of known pixels (or boxes) in each sample, per field.
        warnings: what may be so and is odd.
    """

    labels: dict[str, set[int]] = field(default_factory=dict)
    known: dict[str, list[float]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def check_sample(packed: dict, expected: Expectations, findings: Findings, training: bool) -> None:
    """Hold one sample of a dataset against what the model expects.

    Args:
        packed: ``inputs`` (C, H, W) and ``data_samples``; with test-time augmentation lists, of
            which the first is looked at.
        expected: by the model.
        findings: what is seen is added there.
        training: labels then have the size of the inputs, else that of the image as it is on disk.

    Raises:
        DataCheckError: for the first thing that does not fit.
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
    broken = int((~torch.isfinite(values)).sum())
    if broken:
        raise DataCheckError(
            'inputs: expected finite values after normalization, found NaN or infinite ones: '
            f'{broken} of {values.numel()} (nodata? mssdf.NormalizeBands makes it 0)'
        )
    distance = float(values.abs().median())
    if distance > FAR:
        findings.warnings.append(
            f'normalized inputs lie {distance:.0f} standard deviations from the mean: do mean and '
            f'std fit the data (here {float(inputs.float().min()):g} ... '
            f'{float(inputs.float().max()):g})?'
        )


def _check_labels(
    sample: Any, name: str, expected: Labels, size: tuple[int, ...], findings: Findings
) -> None:
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
    """Labels of one field of a data sample; None for boxes without labels."""
    field = getattr(sample, name)
    if name == 'gt_label':
        return field
    if name == 'gt_instances':
        return field.labels if 'labels' in field else None
    return field.data


def check_values(name: str, labels: Any, expected: Labels) -> None:
    """Refuse labels that the model does not have; under a millisecond for 512 x 512 of them.

    Raises:
        DataCheckError: with the first such values.
    """
    values = torch.as_tensor(labels)
    if not values.numel():
        return
    low, high = (int(limit) for limit in torch.aminmax(values))
    if 0 <= low and high < expected.count:
        return

    if 0 <= low and high <= 255 and 0 <= expected.ignored <= 255:
        values = values.to(torch.uint8)  # a fraction of the memory to go through
    wrong = ((values < 0) | (values >= expected.count)) & (values != expected.ignored)
    if wrong.any():
        raise DataCheckError(
            f'{name}: expected labels 0 to {expected.count - 1} ({expected.key}) or '
            f'{expected.ignored} (unknown), found {values[wrong].unique()[:5].tolist()}'
        )


def _check_heights(
    heights: Tensor, expected: Expectations, size: tuple[int, ...], findings: Findings
) -> None:
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
    return ' x '.join(map(str, size))


def check_class_names(classes: Iterable[str] | None, expected: Expectations) -> None:
    """Hold the names of a dataset's classes against the number of the model's.

    Raises:
        DataCheckError: if they differ.
    """
    names, model = list(classes or ()), expected.num_classes
    if names and model is not None and len(names) != model.count:
        shown = ', '.join(names[:6]) + (', ...' if len(names) > 6 else '')
        raise DataCheckError(
            f'classes: expected {model.count} names ({model.key}), found {len(names)}: {shown}'
        )


def build_loops(runner: Runner, *names: str) -> None:
    """Build the loops, and so the datasets, before anything else can go wrong.

    Args:
        runner: not yet running.
        names: of ``'train'``, ``'val'`` and ``'test'``; those that the config lacks are left out.

    Raises:
        DataCheckError: if annotations do not fit, or a dataset cannot be built.
    """
    for name in names:
        _check_annotations(f'{name}_dataloader', getattr(runner, 'cfg', {}))
        try:
            loop = getattr(runner, f'{name}_loop')
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, AssertionError) as error:
            reason = f'{type(error).__name__}: {" ".join(str(error).split())}'
            if NOTHING_LEFT in reason:
                reason = (
                    'expected samples, found none: the annotations name no image, or filter_cfg '
                    'leaves none'
                )
            raise DataCheckError(f'{name}_dataloader: {reason}') from error
        check_length(f'{name}_dataloader', getattr(loop, 'dataloader', None))


def _check_annotations(name: str, config: Mapping[str, Any]) -> None:
    """Read the annotations before the dataset does, whose errors do not name the place."""
    try:
        check_annotations((config.get(name) or {}).get('dataset') or {})
    except (OSError, ValueError) as error:
        raise DataCheckError(f'{name}: {" ".join(str(error).split())}') from error


def check_length(name: str, loader: Any) -> None:
    """Tell whether a loader has a batch.

    Raises:
        DataCheckError: if it has none, as fewer samples than a batch takes are left out.
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
