"""Fixtures that all tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pairs_tool
import pytest
import rasterio
import torch
from affine import Affine
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.utils import ManagerMixin
from mmengine.visualization import Visualizer

from mssdf.datasets import MultiModalRasterDataset
from mssdf.datasets.shards import ShardInfo, write_index, write_shard


@pytest.fixture(scope='session')
def project_root() -> Path:
    """Top folder of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of the small real rasters."""
    return Path(__file__).resolve().parent / 'data'


@pytest.fixture(scope='session')
def tool() -> ModuleType:
    """``tools/dataset_tools/build_pairs.py`` as a module."""
    return pairs_tool.load()


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """Start every test from the same random state of torch."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_globals() -> Iterator[None]:
    """Forget the visualizers, loggers and scopes of MMEngine that a test has made.

    They are named by the second: the next test has another folder, another standard output and
    perhaps no scope. Those of a module's or session's fixture stay.
    """
    before = {kind: set(kind._instance_dict) for kind in _named_by_the_second()}
    yield
    for kind in _named_by_the_second():
        for name in set(kind._instance_dict) - before.get(kind, set()):
            del kind._instance_dict[name]


def _named_by_the_second() -> list[type[ManagerMixin]]:
    kinds: list[type[ManagerMixin]] = [Visualizer, MMLogger, DefaultScope]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return kinds


@pytest.fixture(scope='session')
def write_shards() -> Callable[..., list[ShardInfo]]:
    """Write the windows of a raster dataset, in its order, as shards with their index."""

    def write(dataset: MultiModalRasterDataset, folder: Path, per_shard: int) -> list[ShardInfo]:
        def sample(index: int) -> dict:
            read = dataset.read_window(index)
            row, col, *_ = read['window']
            present = [m for m, valid in read['valid'].items() if valid.any()]
            with rasterio.open(read['files'][present[0]]) as raster:
                crs = raster.crs.to_wkt()
                transform = raster.transform @ Affine.translation(col, row)
            return dict(
                images={m: read['images'][m] for m in present},
                valid={m: read['valid'][m] for m in present},
                scene=read['scene'],
                window=read['window'],
                crs=crs,
                transform=tuple(transform)[:6],
                files=read['files'],
            )

        infos = [
            write_shard(
                Path(folder, f'{first:06d}.bin'),
                (sample(i) for i in range(first, min(first + per_shard, len(dataset)))),
            )
            for first in range(0, len(dataset), per_shard)
        ]
        modalities = {
            m: dict(bands=dataset.num_bands[m], dtype=dataset.dtypes[m]) for m in dataset.modalities
        }
        write_index(folder, infos, modalities=modalities)
        return infos

    return write


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Record what MMEngine's current logger says."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture
def write_raster(tmp_path):
    """Write (C, H, W) or (H, W) as a GeoTIFF below tmp_path; returns its path."""

    def write(
        name,
        array,
        *,
        origin=(500_000.0, 4_000_000.0),
        pixel=1.0,
        crs='EPSG:32632',
        mask=None,
        colorinterp=None,
        scales=None,
        offsets=None,
        transform=None,
        **options,
    ) -> str:
        array = np.asarray(array)
        array = array[None] if array.ndim == 2 else array
        path = Path(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        transform = transform or Affine(pixel, 0, origin[0], 0, -pixel, origin[1])
        options = {'compress': 'deflate', **options}
        with rasterio.open(
            path,
            'w',
            driver='GTiff',
            height=array.shape[1],
            width=array.shape[2],
            count=array.shape[0],
            dtype=array.dtype,
            crs=crs,
            transform=transform,
            **options,
        ) as raster:
            if colorinterp:  # before the pixels: afterwards it is lost
                raster.colorinterp = colorinterp
            raster.write(array)
            if scales:
                raster.scales = scales
            if offsets:
                raster.offsets = offsets
            if mask is not None:
                raster.write_mask(np.asarray(mask) * np.uint8(255))
        return str(path)

    return write


@pytest.fixture
def rng():
    return np.random.default_rng(0)
