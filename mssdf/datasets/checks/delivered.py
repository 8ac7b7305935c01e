"""Comparison of the image that a task's pipeline delivers with its file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mssdf.rasters.image_header import ImageHeader, in_words, is_turned, read_image_header
from mssdf.rasters.opening import open_raster

from ..transforms.load_rasters import LoadRasters
from .label_maps import leaf_of, transforms_of

IMAGES = dict(img='img_path', img2='img_path2')  # keys of the arrays and of their files
SOFT_ALPHA = 0.05  # share of pixels between 0 and 255 above which alpha is a band of data
DECODERS = 3.0  # levels by which decoders of JPEG may differ in the middle
SHARE = 0.02  # of a band's range: the same for other types
HINT = 'mssdf.LoadRasters reads any bands and types'


def check_delivered(dataset: Any, index: int) -> None:
    """Refuse a loader that drops bands, or changes values, of the image of a sample.

    Args:
        dataset: built dataset whose pipeline loads images.
        index: index of the sample.

    Raises:
        ValueError: if a band of the file is not among the delivered ones, or the image cannot be
            loaded though it is one.
    """
    leaf, position = leaf_of(dataset, index)
    info = leaf.get_data_info(position)
    paths = {key: info.get(name) for key, name in IMAGES.items()}
    loader, results = _load(leaf, info)
    for key, path in paths.items():
        if loader is None or not isinstance(path, str) or '://' in path:
            continue
        if results is None:
            _refuse_unloaded(path, loader)
        elif key in results:
            compare_bands(path, np.asarray(results[key]), type(loader).__name__)


def _load(leaf: Any, info: dict) -> tuple[Any, dict | None]:
    """Run a pipeline up to the step that loads the image.

    Returns:
        The step, None where bands are chosen by number or nothing is loaded; and what it gave,
        None if it failed.
    """
    results = info
    for step in transforms_of(leaf):
        if isinstance(step, LoadRasters):
            return None, None
        try:
            results = step(results)
        except Exception:  # whatever a loader raises; the sample's own check reports others
            return (step, None) if 'Image' in type(step).__name__ else (None, None)
        if not isinstance(results, dict):
            return None, None
        if 'img' in results:
            return step, results
    return None, None


def _refuse_unloaded(path: str, loader: Any) -> None:
    name = type(loader).__name__
    header = read_image_header(path)
    if header.dtype == 'uint8' and header.bands <= 3:
        return  # damaged, and not of a kind that the loader cannot read
    raise ValueError(
        f'{path}: cannot be read by {name}: expected 8 bits and up to 3 bands, found '
        f'{header.layout}; {HINT}'
    )


def compare_bands(path: str, image: NDArray, loader: str) -> None:
    """Compare a loaded image with its file.

    Args:
        path: image file.
        image: (H, W, C) or (H, W) loaded image, bands in any order.
        loader: name of what loaded it, for the error.

    Raises:
        ValueError: if a band of the file is not in the image, value by value.
    """
    header = read_image_header(path)
    image = image[..., None] if image.ndim == 2 else image
    expected = (header.height, header.width)
    if header.palette or is_turned(path):
        return
    if image.shape[:2] != expected:
        raise ValueError(
            f'{path}: expected {_size(expected)} pixels from {loader}, found an array of '
            f'{_size(image.shape)}; {HINT}'
        )

    # a band of the file that is nowhere in the image was lost, or changed on the way
    bands, valid = _read(path, header)
    lost = [
        number
        for number, band in enumerate(bands, 1)
        if not any(_alike(band, image[..., channel], valid) for channel in range(image.shape[2]))
    ]
    if lost:
        raise ValueError(
            f'{path}: expected {loader} to deliver {in_words(len(bands), header.dtype)} as in the '
            f'file ({_range(bands[lost[0] - 1])} in band {lost[0]}), found '
            f'{in_words(image.shape[2], str(image.dtype))} ({_range(image)}): band '
            f'{", ".join(map(str, lost))} would be lost or changed; {HINT}'
        )


def _read(path: str, header: ImageHeader) -> tuple[list[NDArray], NDArray[np.bool_]]:
    """Read the bands (H, W) that are data, and the pixels that alpha lets be seen."""
    with open_raster(path) as raster:
        bands = list(raster.read())
    valid = np.ones(bands[0].shape, np.bool_)
    if header.alpha:
        alpha = bands[-1]
        if ((alpha != 0) & (alpha != alpha.max())).mean() <= SOFT_ALPHA:
            valid = alpha == alpha.max()
            bands = bands[:-1]
    return bands, valid


def _alike(band: NDArray, channel: NDArray, valid: NDArray[np.bool_]) -> bool:
    """Tell whether a channel holds the values of a band, but for the decoders' rounding."""
    known = valid & np.isfinite(band)
    if not known.any():
        return True
    values, found = band[known].astype(np.float64), channel[known].astype(np.float64)
    levels = DECODERS if band.dtype == np.uint8 else SHARE * (values.max() - values.min())
    return float(np.median(np.abs(values - found))) <= levels


def _range(values: NDArray) -> str:
    return f'{np.nanmin(values):g} to {np.nanmax(values):g}'


def _size(shape: tuple[int, ...]) -> str:
    return ' x '.join(map(str, shape))
