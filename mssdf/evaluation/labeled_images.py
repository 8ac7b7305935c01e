"""Folder of labeled images, small enough to be kept in memory."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.logging import print_log
from PIL import Image
from rasterio.enums import ColorInterp
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from mssdf.datasets.transforms.load_rasters import read_image
from mssdf.errors import ConfigError, FileError, MissingFileError, Words
from mssdf.rasters.checked_opening import open_checked
from mssdf.rasters.formats import differing_types
from mssdf.rasters.read_errors import READ_ERRORS
from mssdf.utils.folders import files_in, is_hidden
from mssdf.utils.text_files import read_text

RASTERS = ('.tif', '.tiff')
# Errors that opening and decoding an image may raise.
UNREADABLE_IMAGE = (*READ_ERRORS, Image.DecompressionBombError)
SUFFIXES = ('.jpg', '.jpeg', '.png', *RASTERS)


@dataclass
class LabeledImages:
    """A set of images of one size with their classes.

    Attributes:
        images: images (N, 3, S, S), uint8, or float32 if a file has other values.
        labels: classes (N,) int64, indices into ``classes``.
        classes: names of the classes, sorted.
        paths: N paths relative to the root, with forward slashes.
    """

    images: Tensor
    labels: np.ndarray
    classes: list[str]
    paths: list[str]


def read_rgb(path: Path) -> np.ndarray:
    """Read the first three bands as (H, W, 3) in 8 bits or as stored; one band is repeated.

    Raises:
        ValueError: if the file is not an image.
    """
    try:
        if path.suffix.lower() in RASTERS:
            with open_checked(path) as raster:
                if ColorInterp.palette in raster.colorinterp:
                    return read_image(str(path))[0]
                bands = [1, 2, 3] if raster.count >= 3 else [1, 1, 1]
                return np.moveaxis(raster.read(bands), 0, -1)
        with Image.open(path) as image:
            if not _is_deep(path, image):
                return np.asarray(image.convert('RGB'))
        # Pillow clips 16-bit gray at white and drops the lower 8 bits of colors.
        values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None:
            raise OSError('16 bits that cannot be decoded')
        return np.stack([values] * 3, axis=-1) if values.ndim == 2 else values[..., 2::-1].copy()
    except UNREADABLE_IMAGE as error:
        raise ValueError(f'{path}: expected an image, found: {error}') from None


def _is_deep(path: Path, image: Image.Image) -> bool:
    """Tell whether an image has more than 8 bits."""
    if image.format == 'PNG':
        with open(path, 'rb') as file:
            return file.read(25)[24] == 16  # the header's bit depth
    return image.mode.startswith(('I', 'F'))


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resize (H, W, 3) to (size, size, 3) by area means when shrinking, else bicubically."""
    if image.shape[:2] == (size, size):
        return image
    if image.dtype != np.uint8:
        image = image.astype(np.float32)
    shrinks = size <= min(image.shape[:2])
    return cv2.resize(
        image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )


def load_labeled_images(root: str | Path, img_size: int) -> LabeledImages:
    """Read ``root/CLASS/*.{jpg,png,tif}``, resized to squares.

    Args:
        root: folder with one folder for each class.
        img_size: side of the images in pixels.

    Raises:
        FileNotFoundError: if the folder does not exist.
        ValueError: if it has fewer than two classes, or a file is not an image.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f'{root}: expected a folder of labeled images, found none')

    found = {
        folder.name: [path for path in files_in(folder) if path.suffix.lower() in SUFFIXES]
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not is_hidden(folder)
    }
    found = {name: paths for name, paths in found.items() if paths}
    if len(found) < 2:
        raise ValueError(
            f'{root}: expected at least two classes CLASS/*{{{",".join(SUFFIXES)}}}, '
            f'found {sorted(found)}'
        )

    paths = [path for name in found for path in found[name]]
    images = [resize(read_rgb(path), img_size) for path in paths]

    kinds = ((str(image.dtype), str(path)) for image, path in zip(images, paths, strict=True))
    said = differing_types(kinds)
    if said is not None:
        print_log(f'{root}: {said}', logger='current', level=logging.WARNING)
    if any(image.dtype != np.uint8 for image in images):
        images = [image.astype(np.float32) for image in images]

    return LabeledImages(
        images=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        labels=np.repeat(np.arange(len(found)), [len(files) for files in found.values()]),
        classes=list(found),
        paths=[path.relative_to(root).as_posix() for path in paths],
    )


def stratified_split(
    labels: np.ndarray, query_share: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Split each class at random into bank and query; one seed always gives one split.

    Args:
        labels: classes (N,) int.
        query_share: share of each class that becomes queries, 0...1; at least one image of each
            class goes to either side.
        seed: seed of the draw.

    Returns:
        Sorted indices of the bank and of the queries.

    Raises:
        ValueError: if the share is outside 0...1 or a class has a single image.
    """
    if not 0 < query_share < 1:
        raise ConfigError('query_share', 'a number within 0...1', query_share)
    rng = np.random.default_rng(seed)
    bank, query = [], []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(f'class {label}: expected at least two images, found one')
        count = min(max(round(query_share * len(members)), 1), len(members) - 1)
        query.append(members[:count])
        bank.append(members[count:])
    return np.sort(np.concatenate(bank)), np.sort(np.concatenate(query))


def stratified_folds(
    labels: np.ndarray, num_folds: int = 5, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split into bank and queries of each fold, so that every image is a query once.

    Args:
        labels: classes (N,) int.
        num_folds: number of folds.
        seed: seed of the draw.

    Raises:
        ValueError: if a class has fewer images than there are folds.
    """
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    smallest = int(np.unique(labels, return_counts=True)[1].min())
    if smallest < num_folds:
        raise ConfigError(
            'num_folds', f'at most {smallest}, the images of the smallest class', num_folds
        )
    return list(folds.split(np.zeros(len(labels)), labels))


def read_split(path: str | Path, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read a split from a JSON file ``{"bank": [...], "query": [...]}`` of relative paths.

    Returns:
        Indices into ``paths`` of the bank and of the queries.

    Raises:
        ValueError: if the file has another form, names an unknown image, or one on both sides.
    """
    try:
        split = json.loads(read_text(Path(path)))
        sides = [list(split[side]) for side in ('bank', 'query')]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path}: expected JSON with the lists "bank" and "query", found: {error!r}'
        ) from None
    position = {name: index for index, name in enumerate(paths)}
    unknown = [name for side in sides for name in side if name not in position]
    if unknown:
        raise MissingFileError(
            path, 'images that exist', Words(f'{len(unknown)} that do not, first {unknown[0]!r}')
        )
    if set(sides[0]) & set(sides[1]) or not all(sides):
        raise FileError(path, 'two lists that are not empty and share no image', Words('others'))
    bank, query = (np.array([position[name] for name in side]) for side in sides)
    return bank, query
