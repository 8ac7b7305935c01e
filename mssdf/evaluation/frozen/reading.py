"""Reading of evaluation sets into memory."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from numpy.typing import NDArray
from PIL import Image

from mssdf.preparation.examples.derive import heights_above_ground, land_cover
from mssdf.rasters.band_source import make_source
from mssdf.rasters.checked_opening import open_checked
from mssdf.rasters.formats import check_lengths, differing_types
from mssdf.rasters.pixels import read_validity, read_values
from mssdf.rasters.raster_header import read_header
from mssdf.rasters.resample import scale_values
from mssdf.utils.fingerprints import visible_files
from mssdf.utils.folders import files_in, in_any_case

from ..labeled_images import RASTERS, SUFFIXES, UNREADABLE_IMAGE, load_labeled_images, read_rgb
from .buildings import building_chips, chip_layers
from .cutting import Layers, relative_to_median, resized, windows
from .data import EvaluationData
from .places import WindowPlace, place_groups, window_groups
from .sets import EvaluationSet

HIGHEST = 9000.0  # meters; larger magnitudes mark holes, such as -9999 and -3.4e38
LEAST_RANGE = 1e-3  # meters; resampled flat ground varies by less
COVER = ['bare ground', 'building', 'low vegetation', 'tree']


class Part(NamedTuple):
    """A whole raster of a set.

    Attributes:
        name: name of its windows, without their number.
        path: path of the image.
        group: number of its group within the set.
        layers: image and targets.
    """

    name: str
    path: Path
    group: int
    layers: Layers


def load_set(described: EvaluationSet, img_size: int) -> EvaluationData:
    """Read an evaluation set into memory.

    Args:
        described: description of the set.
        img_size: side in pixels of the images that encoders see.

    Raises:
        FileNotFoundError: if its folder or files are missing.
        ValueError: if its files are not as described.
    """
    if not Path(described.path).is_dir():
        raise FileNotFoundError(
            f'set {described.name!r}: {described.path}: expected a folder, found none'
        )
    try:
        if described.kind == 'scenes':
            data = _scenes(described, img_size)
        else:
            data = _dense(described, img_size)
    except ValueError as error:
        raise ValueError(f'set {described.name!r}: {error}') from None
    if described.limit is not None and described.limit < len(data):
        data = data.take(np.linspace(0, len(data) - 1, described.limit).round().astype(np.int64))
    if data.task == 'height':
        _check_heights(data)
    return data


def _check_heights(data: EvaluationData) -> None:
    """Refuse heights that leave nothing to predict.

    Raises:
        ValueError: if they do not vary within any window.
    """
    known = data.target[data.target.isfinite() & data.seen[:, 0]]
    if not len(known) or known.max() - known.min() < LEAST_RANGE:
        raise ValueError(
            f'set {data.name!r}: expected heights that vary by {LEAST_RANGE * 1000:g} mm or more '
            f'around the median of their window, found flat ones in all {len(data)} windows'
        )


def files_of(described: EvaluationSet) -> list[Path]:
    """List all files under the folder of a set that are not hidden, sorted."""
    root = Path(described.path)
    folders = [root] if described.heights is None else [root, root / described.heights]
    return visible_files(*folders)


def read_heights(path: Path) -> NDArray[np.float32]:
    """Read the first band as heights (H, W) in meters, NaN where unknown.

    Masked values are unknown, and so are values beyond ``HIGHEST``, upwards in meters or downwards
    in the file's unit: many files mark holes by -9999, -32767 or -3.4e38 without declaring it.

    Raises:
        ValueError: if the file is not a raster, or its values are not lengths.
    """
    try:
        source = make_source(read_header(str(path)), [1])
        check_lengths(source, 'the band or the vertical CRS')
        size = (source.header.height, source.header.width)
        with open_checked(path) as raster:
            stored, known = read_values(raster, source, (0, 0, *size))
    except UNREADABLE_IMAGE as error:
        raise ValueError(f'{path}: expected a raster of heights, found: {error}') from None
    heights = scale_values(stored, source)[0].astype(np.float32)
    lowest = -HIGHEST * abs(source.meters[0])
    known &= (heights > lowest) & (heights < HIGHEST)
    return np.where(known, heights, np.float32(np.nan))


def read_mask(path: Path) -> NDArray[np.int64]:
    """Read the first band, or the indices of a palette, as a mask (H, W).

    Raises:
        ValueError: if the file is not an image, colors stand for classes, or a value is not a whole
            number.
    """
    try:
        if path.suffix.lower() in RASTERS:
            with open_checked(path) as raster:
                bands = np.moveaxis(raster.read(), 0, -1)
        else:
            with Image.open(path) as image:
                bands = np.atleast_3d(np.asarray(image))
    except UNREADABLE_IMAGE as error:
        raise ValueError(f'{path}: expected a mask, found: {error}') from None
    mask = bands[..., 0]
    if bands.shape[2] >= 3 and (bands[..., 1:3] != bands[..., :1]).any():
        raise ValueError(
            f'{path}: expected class numbers in one band or a palette, found {bands.shape[2]} '
            f'bands that differ, such as colors that stand for classes'
        )
    if mask.dtype.kind == 'f' and not (np.isfinite(mask) & (mask == np.round(mask))).all():
        raise ValueError(f'{path}: expected whole numbers of classes, found others')
    return mask.astype(np.int64)


def read_seen(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Read the validity (H, W) of a raster's pixels; other images are valid everywhere."""
    if path.suffix.lower() not in RASTERS:
        return np.ones(shape, bool)
    header = read_header(str(path))
    source = make_source(header, [1, 2, 3] if header.palette or header.count >= 3 else [1])
    with open_checked(path) as raster:
        return read_validity(raster, source, (0, 0, header.height, header.width))


def _scenes(described: EvaluationSet, img_size: int) -> EvaluationData:
    """Read labeled scenes, with heights of the same names if the set has them."""
    found = load_labeled_images(described.path, img_size)
    count = len(found.images)

    modalities = {}
    if described.heights is not None:
        folder = Path(described.path, described.heights)
        layers = []
        for name in found.paths:
            path = in_any_case((folder / name).with_suffix('.tif'))
            heights = read_heights(path)
            blank = np.zeros((*heights.shape, 3), np.uint8)
            layers.append(resized(Layers(blank, np.isfinite(heights), None, heights), img_size))
        modalities[described.modality] = _stack_heights(layers)

    return EvaluationData(
        name=described.name,
        task='scenes',
        images=found.images,
        seen=torch.ones(count, 1, 1, 1, dtype=torch.bool).expand(-1, -1, img_size, img_size),
        target=torch.from_numpy(found.labels).long(),
        groups=None,
        classes=found.classes,
        names=found.paths,
        modalities=modalities,
    )


def _dense(described: EvaluationSet, img_size: int) -> EvaluationData:
    readers: dict[str, Callable[[EvaluationSet], Iterator[Part]]] = dict(
        masks=_mask_parts, height=_height_parts, cover=_cover_parts, buildings=_building_parts
    )
    side = described.window
    if side is None:
        side = img_size if described.kind in ('height', 'cover') else 0
    names, places, found = [], [], []
    for part in readers[described.kind](described):
        rows, columns = part.layers.rgb.shape[:2]
        for number, ((top, left), window) in enumerate(windows(part.layers, side)):
            if described.kind == 'height' and not np.isfinite(_given(window.heights)).any():
                continue  # an image may have no known height at all
            names.append(f'{part.name}#{number}' if side else part.name)
            down, across = window.rgb.shape[:2]
            places.append(
                WindowPlace(part.group, part.path, top, left, down, across, (rows, columns))
            )
            found.append(resized(window, img_size))
    if not found:
        what = f'windows of {side} px' if side else 'images'
        raise ValueError(f'{described.path}: expected {what} with known targets, found none')
    said = differing_types(
        (str(layers.rgb.dtype), str(place.path))
        for layers, place in zip(found, places, strict=True)
    )
    if said is not None:
        print_log(f'set {described.name!r}: {said}', logger='current', level=logging.WARNING)
    if any(layers.rgb.dtype != np.uint8 for layers in found):
        for layers in found:
            layers.rgb = layers.rgb.astype(np.float32)

    task = 'height' if described.kind == 'height' else 'masks'
    modalities = {}
    if task == 'masks' and all(layers.heights is not None for layers in found):
        modalities[described.modality] = _stack_heights(found)
    classes: list[str] = []
    if task == 'height':
        target = np.stack([relative_to_median(_given(layers.heights)) for layers in found])
    else:
        target, classes = _relabel(np.stack([_given(layers.labels) for layers in found]), described)
    return EvaluationData(
        name=described.name,
        task=task,
        images=torch.from_numpy(np.stack([layers.rgb for layers in found]))
        .permute(0, 3, 1, 2)
        .contiguous(),
        seen=torch.from_numpy(np.stack([layers.seen for layers in found]))[:, None],
        target=torch.from_numpy(target),
        groups=window_groups(places),
        classes=classes,
        names=names,
        modalities=modalities,
    )


def _given(layer: NDArray | None) -> NDArray:
    if layer is None:
        raise ValueError('expected a target for every image, found an image without')
    return layer


def _stack_heights(layers: list[Layers]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack heights (N, 1, S, S), 0 where unknown, and their validity."""
    heights = np.stack([_given(one.heights) for one in layers])[:, None]
    valid = np.isfinite(heights)
    return torch.from_numpy(np.where(valid, heights, np.float32(0))), torch.from_numpy(valid)


def _relabel(labels: NDArray[np.int64], described: EvaluationSet) -> tuple[NDArray, list[str]]:
    """Number the values that occur from 0 on; ignored values become -1."""
    known = dict(buildings=['ground', 'building'], cover=COVER).get(described.kind)
    values = [int(value) for value in np.unique(labels) if value >= 0]
    if described.kind == 'masks':
        kept = [value for value in values if value != described.ignore]
        # In a mask of 0 and 255, 255 is a class unless the set says that it is ignored.
        values = values if described.ignore == 255 and len(kept) < 2 else kept
    if len(values) < 2:
        beside = f' beside ignore={described.ignore}' if described.kind == 'masks' else ''
        raise ValueError(
            f'{described.path}: expected at least two classes in masks{beside}, found {values}'
        )
    numbered = np.full(labels.shape, -1, np.int64)
    for number, value in enumerate(values):
        numbered[labels == value] = number
    return numbered, [known[value] if known else str(value) for value in values]


def _mask_parts(described: EvaluationSet) -> Iterator[Part]:
    """Yield the images of a set with their masks and, if there are some, heights."""
    root = Path(described.path)
    folders = [root / (described.image or 'images'), root / (described.target or 'masks')]
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f'{folder}: expected a folder, found none')

    heights = root / (described.heights or 'heights')
    masks, surfaces = (_by_stem(folder) for folder in (folders[1], heights))
    images = _by_stem(folders[0])
    if described.heights is not None and not surfaces:
        raise ValueError(f'{heights}: expected rasters of heights, found none')

    for group, (stem, path) in zip(
        place_groups(list(images.values())), images.items(), strict=True
    ):
        if stem not in masks:
            raise ValueError(f'{folders[1]}: expected a mask for {path.name}, found none')

        rgb = read_rgb(path)
        surface = None
        if surfaces:
            if stem not in surfaces:
                raise ValueError(f'{heights}: expected heights for {path.name}, found none')
            surface = read_heights(surfaces[stem])

        seen = read_seen(path, rgb.shape[:2])
        layers = _layers(path, rgb, seen, read_mask(masks[stem]), surface)
        yield Part(stem, path, group, layers)


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in files_in(folder) if path.suffix.lower() in SUFFIXES}


def _height_parts(described: EvaluationSet) -> Iterator[Part]:
    root, end = Path(described.path), described.image or '_dom.tif'
    folder = root / 'patch' if (root / 'patch').is_dir() else root
    images = files_in(folder, end)
    if not images:
        raise ValueError(f'{folder}: expected images *{end}, found none')
    for group, path in zip(place_groups(images), images, strict=True):
        name = path.name[: -len(end)]
        surface = in_any_case(folder / f'{name}{described.target or "_dsm.tif"}')
        rgb = read_rgb(path)
        seen = read_seen(path, rgb.shape[:2])
        layers = _layers(path, rgb, seen, None, read_heights(surface))
        yield Part(name or path.stem, path, group, layers)


def _cover_parts(described: EvaluationSet) -> Iterator[Part]:
    for part in _height_parts(described):
        path, layers = part.path, part.layers
        if layers.heights is None or layers.rgb.dtype != np.uint8:
            raise ValueError(
                f'{path}: expected 8-bit colors and heights, found colors of {layers.rgb.dtype}'
                f'{"" if layers.heights is not None else " alone"}'
            )
        with open_checked(path) as raster:
            infrared = raster.read(4) if raster.count >= 4 else None
        known = np.where(layers.seen, layers.heights, np.nan)
        labels = land_cover(layers.rgb, heights_above_ground(known), infrared).astype(np.int64)
        # Cars and dark ground are low and only guessed; 0 is not labeled.
        layers.labels = np.where(labels > len(COVER), 1, labels) - 1
        yield part


def _building_parts(described: EvaluationSet) -> Iterator[Part]:
    for chip in building_chips(Path(described.path)):
        yield Part(chip.path.stem, chip.path, chip.group, chip_layers(chip))


def _layers(
    path: Path,
    rgb: NDArray,
    seen: NDArray[np.bool_],
    labels: NDArray[np.int64] | None,
    heights: NDArray[np.float32] | None,
) -> Layers:
    try:
        return Layers(rgb, seen, labels, heights)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
