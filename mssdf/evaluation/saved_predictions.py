"""Predictions as files: georeferenced maps, tables and boxes."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from mssdf.rasters.crs import horizontal_crs
from mssdf.rasters.opening import open_raster
from mssdf.rasters.read_errors import READ_ERRORS
from mssdf.utils.atomic_file import write_atomically


def mirrored_names(images: Iterable[str]) -> dict[str, Path]:
    """Name each image by its path below the folder that all share, without its ending.

    Where images differ in their endings alone, the ending stays part of the name.
    """
    images = sorted(set(map(str, images)))
    # Paths are absolute, as a '..' inside one would lead out of the output folder.
    folders = [os.path.dirname(os.path.abspath(image)) for image in images]
    root = os.path.commonpath(folders) if images else ''
    paths = {image: Path(os.path.relpath(image, root or '.')) for image in images}
    counts = Counter(path.with_suffix('') for path in paths.values())
    return {
        image: path.with_suffix('')
        if counts[path.with_suffix('')] == 1
        else path.with_name(path.name.replace('.', '_'))
        for image, path in paths.items()
    }


def write_map(path: Path, values: NDArray, image: str | None = None) -> Path:
    """Write a map (H, W) of labels (uint8) or heights (float32).

    If the image has a coordinate reference system, the map is a GeoTIFF with it; otherwise labels
    are a PNG and heights a TIFF. NaN stays NaN.

    Args:
        path: path of the file without its ending.
        values: map of the image's size.
        image: path of the image that it was predicted from.

    Returns:
        Path with its ending.
    """
    place = read_place(image, values.shape)
    if place or values.dtype != np.uint8:
        profile = dict(driver='GTiff', compress='deflate', **place)
        path = path.with_name(f'{path.name}.tif')
    else:
        profile = dict(driver='PNG')
        path = path.with_name(f'{path.name}.png')
    with rasterio.MemoryFile() as memory:
        with memory.open(
            count=1, height=values.shape[0], width=values.shape[1], dtype=values.dtype, **profile
        ) as raster:
            raster.write(values, 1)
        write_atomically(path, memory.read())
    return path


def read_place(image: str | None, shape: Sequence[int]) -> dict[str, Any]:
    """Read the CRS and transform of an image with a CRS and this size; else nothing."""
    if image is None:
        return {}
    try:
        with open_raster(image) as raster:
            if raster.crs is None or raster.shape != tuple(shape):
                return {}
            # Heights are predicted in meters, whatever the unit of the vertical CRS.
            crs = rasterio.CRS.from_wkt(horizontal_crs(raster.crs.to_wkt()))
            return dict(crs=crs, transform=raster.transform)
    except (*READ_ERRORS, ValueError):  # an invalid CRS raises ValueError
        return {}


def write_table(
    path: Path, rows: Iterable[tuple[str, int | None, NDArray]], classes: Sequence[str]
) -> None:
    """Write file, true and predicted class and all scores of each image as CSV."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(['file', 'truth', 'predicted', *classes])
    for file, truth, scores in rows:
        table.writerow(
            [
                file,
                '' if truth is None else classes[truth],
                classes[int(scores.argmax())],
                *(f'{score:.6f}' for score in scores),
            ]
        )
    write_atomically(path, text.getvalue().encode())


def write_boxes(path: Path, images: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> None:
    """Write the boxes of all images as JSON: the classes, and each image's file and boxes."""
    content = dict(classes=list(classes), images=list(images))
    write_atomically(path, json.dumps(content, indent=1).encode())


def write_coco(
    path: Path, images: Sequence[Mapping[str, Any]], categories: Sequence[int] | None = None
) -> None:
    """Write upright boxes in the format of COCO's tools: left, top, width, height.

    Args:
        path: path of the JSON file.
        images: predictions, each with ``id``, ``boxes`` (left, top, right, bottom), ``labels`` and
            ``scores``.
        categories: identifier of each class; None takes 1, 2, ...
    """
    found = [
        dict(
            image_id=image['id'],
            category_id=label + 1 if categories is None else categories[label],
            bbox=[left, top, round(right - left, 3), round(bottom - top, 3)],
            score=score,
        )
        for image in images
        for (left, top, right, bottom), label, score in zip(
            image['boxes'], image['labels'], image['scores'], strict=True
        )
    ]
    write_atomically(path, json.dumps(found).encode())


def write_classes(
    path: Path, classes: Sequence[str], palette: Sequence[Sequence[float]] | None
) -> None:
    """Write the name and the color of each number in label maps."""
    colors = [list(map(int, color)) for color in palette or ()]
    content = {
        str(index): dict(name=name, **(dict(color=colors[index]) if colors else {}))
        for index, name in enumerate(classes)
    }
    write_atomically(path, json.dumps(content, indent=1).encode())
