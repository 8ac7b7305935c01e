"""Running the tools of data sets, and files for them."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import rasterio

TOOLS = Path(__file__).resolve().parents[2] / 'tools/dataset_tools'


def tool(name: str):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    shape = dict(count=len(bands), height=bands.shape[1], width=bands.shape[2])
    with rasterio.open(path, 'w', driver='GTiff', dtype=bands.dtype, **shape) as raster:
        raster.write(bands)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as raster:
        return raster.read().transpose(1, 2, 0)


def png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)
