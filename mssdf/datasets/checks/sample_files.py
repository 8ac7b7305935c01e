"""The files of one sample of a task's dataset, by their headers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from mmcv.transforms import LoadAnnotations

from mssdf.errors import MissingFileError
from mssdf.rasters.image_header import ImageHeader, is_turned, read_image_header

from ..transforms.load_height import LoadHeight
from ..transforms.load_rasters import LoadRasters
from ..transforms.two_dates import several_bands
from .label_maps import label_loader, transforms_of

IMAGES = ('img_path', 'img_path2')
LABELS = ('seg_map_path', 'seg_map_path2')


@dataclass
class SampleFiles:
    """Layout of the files of a sample.

    Attributes:
        kind: bands, type, alpha and palette of each file that is read; alike for alike samples.
        counts: number of bands of each source that is read whole.
        wide: label maps of more than 8 bits.
    """

    kind: tuple[Any, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    wide: list[str] = field(default_factory=list)


def check_sample_files(leaf: Any, info: dict[str, Any]) -> SampleFiles:
    """Hold the headers of a sample's files against each other and against what is read of them.

    Args:
        leaf: dataset that the sample comes from.
        info: paths of the sample.

    Returns:
        What there is.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is no image, has another size than the image or than the annotations
            say, lacks a band that is read, or is a label map of several bands.
    """
    images = list(_images(leaf, info))
    found = SampleFiles(
        kind=tuple(header.kind for _, header, _ in images),
        counts=tuple((path, header.bands) for path, header, whole in images if whole),
    )
    if not images:
        return found

    # everything of a sample must have the size of its first image
    first, header, _ = images[0]
    for path, other, _ in images[1:]:
        _check_size(path, other, first, header)
    if hasattr(leaf, 'cat_ids'):
        _check_stated_size(leaf, info, first, header)
    for path, labels in _labels(leaf, info, first):
        _check_size(path, labels, first, header)
        found.kind += labels.kind
        found.wide += [path] if labels.dtype != 'uint8' else []
    if any(isinstance(step, LoadHeight) for step in transforms_of(leaf)):
        path = str(info['depth_map_path'])
        heights = _read(path, first)
        if heights.bands != 1:
            raise ValueError(f'{path}: expected heights in 1 band, found {heights.bands} bands')
        _check_size(path, heights, first, header)
    return found


def _images(leaf: Any, info: dict[str, Any]) -> Iterator[tuple[str, ImageHeader, bool]]:
    """Yield path and header of each image, and whether all of its bands are read."""
    loader = next((step for step in transforms_of(leaf) if isinstance(step, LoadRasters)), None)
    first = ''
    if loader is None:
        for key in IMAGES:
            if _is_local(path := info.get(key)):
                yield path, _read(path, first), False
                first = first or path
        return

    for source in loader.sources:
        path = source.path(info)
        if not _is_local(path) or (source.missing == 'nodata' and not os.path.exists(path)):
            continue
        header = _read(path, first)
        total = header.bands + header.alpha
        if source.bands and max(source.bands) > total:
            raise ValueError(
                f'{path}: expected the bands {list(source.bands)} (sources of LoadRasters), found '
                f'{total}'
            )
        yield path, header, source.bands is None
        first = first or path


def _labels(leaf: Any, info: dict[str, Any], image: str) -> Iterator[tuple[str, ImageHeader]]:
    """Yield path and header of each label map."""
    loader = label_loader(leaf)
    for key in LABELS:
        if loader is None or not _is_local(path := info.get(key)):
            continue
        header = _read(path, image)
        # mmseg hands alpha on as labels, ours leave it out
        bands = header.bands + (header.alpha and isinstance(loader, LoadAnnotations))
        if bands != 1:
            raise ValueError(several_bands(path, bands))
        yield path, header


def _read(path: str, beside: str) -> ImageHeader:
    try:
        return read_image_header(path)
    except FileNotFoundError:
        raise MissingFileError(
            path, f'a file to go with {beside}' if beside else 'a file'
        ) from None


def _check_size(path: str, header: ImageHeader, first: str, image: ImageHeader) -> None:
    if _size(header) != _size(image) and not is_turned(first):
        raise ValueError(
            f'{path}: expected {_size(image)} pixels as in {first}, found {_size(header)}'
        )


def _check_stated_size(leaf: Any, info: dict[str, Any], path: str, header: ImageHeader) -> None:
    """Hold the size in COCO's json against the image's, which boxes would not fit."""
    stated = f'{info.get("height")} x {info.get("width")}'
    if stated != _size(header) and not is_turned(path):
        raise ValueError(
            f'{leaf.ann_file}: expected height and width {_size(header)} as in {path}, found '
            f'{stated}'
        )


def _is_local(path: Any) -> TypeGuard[str]:
    return isinstance(path, str) and '://' not in path and not path.startswith('/vsi')


def _size(header: ImageHeader) -> str:
    return f'{header.height} x {header.width}'
