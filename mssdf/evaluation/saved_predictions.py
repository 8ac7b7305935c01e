"""Predictions as files: maps with the place of their image, tables, boxes."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from mssdf.engine.atomic_file import write_atomically


def write_map(path: Path, values: NDArray, image: str | None = None) -> Path:
    """Write a map (H, W) of labels (uint8) or heights (float32).

    Where the image has a coordinate reference system the map is a GeoTIFF with it; else labels are
    a PNG, and heights a TIFF. NaN stays NaN.

    Args:
        path: without ending.
        values: the map, of the image's size.
        image: the file that it was predicted from.

    Returns:
        The path with its ending.
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
    """CRS and transform of an image that has a CRS and this size; else nothing."""
    if image is None:
        return {}
    try:
        with rasterio.open(image) as raster:
            if raster.crs is None or raster.shape != tuple(shape):
                return {}
            return dict(crs=raster.crs, transform=raster.transform)
    except RasterioError:
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
    """Write the boxes of all images as JSON: classes, and per image file and boxes."""
    content = dict(classes=list(classes), images=list(images))
    write_atomically(path, json.dumps(content, indent=1).encode())
