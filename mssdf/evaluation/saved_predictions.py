"""Predictions as files: maps with the place of their image, tables, boxes."""

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
    """A name without ending for each image: its path below the folder that all of them share.

    Where images differ in their endings alone, the ending stays part of the name.
    """
    images = sorted(set(map(str, images)))
    # absolute: a '..' in the middle of one would lead out of the folder that they are written to
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
        with open_raster(image) as raster:
            if raster.crs is None or raster.shape != tuple(shape):
                return {}
            # heights are predicted in meters, whatever the vertical CRS counts in
            crs = rasterio.CRS.from_wkt(horizontal_crs(raster.crs.to_wkt()))
            return dict(crs=crs, transform=raster.transform)
    except (*READ_ERRORS, ValueError):  # a CRS that is none is a ValueError
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


def write_coco(
    path: Path, images: Sequence[Mapping[str, Any]], categories: Sequence[int] | None = None
) -> None:
    """Write upright boxes as COCO's tools read results: left, top, width, height.

    Args:
        path: of the JSON file.
        images: each with ``id``, ``boxes`` (left, top, right, bottom), ``labels``, ``scores``.
        categories: identifier of each class; 1, 2, ... if None.
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
    """Write what the numbers of label maps mean: name and color of each."""
    colors = [list(map(int, color)) for color in palette or ()]
    content = {
        str(index): dict(name=name, **(dict(color=colors[index]) if colors else {}))
        for index, name in enumerate(classes)
    }
    write_atomically(path, json.dumps(content, indent=1).encode())
