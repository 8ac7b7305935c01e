"""Images of any bands, types and files for the pipelines of mmpretrain, mmseg and mmdet."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from numpy.typing import NDArray

from mssdf.errors import ConfigError, MissingFileError, UnknownKeyError
from mssdf.rasters.band_source import make_source
from mssdf.rasters.fill_values import count_fills, describe_fills
from mssdf.rasters.opening import open_raster
from mssdf.rasters.pixels import read_values
from mssdf.rasters.raster_header import read_header
from mssdf.rasters.read_errors import READ_ERRORS, UnreadableFileError, read_reason
from mssdf.rasters.resample import scale_values
from mssdf.rasters.units import check_unit
from mssdf.registry import TRANSFORMS

MISSING = ('error', 'nodata')


@dataclass(frozen=True)
class RasterSource:
    """One file of an image; see :class:`LoadRasters`."""

    key: str = 'img_path'
    bands: tuple[int, ...] | None = None
    replace: tuple[str, str] | None = None
    suffix: tuple[str, str] | None = None
    nodata: float | str | None = None
    missing: str = 'error'
    unit: str | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> 'RasterSource':
        """Check an entry of ``sources``.

        Raises:
            ValueError: for unknown keys or values that do not go together.
        """
        unknown = set(config) - set(cls.__dataclass_fields__)
        if unknown:
            raise ConfigError(
                'sources', f'the keys {list(cls.__dataclass_fields__)}', sorted(unknown)
            )
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, (list, tuple)) else value
            for key, value in config.items()
        }
        source = cls(**given)
        if source.missing not in MISSING:
            raise ConfigError('sources.missing', f'one of {MISSING}', source.missing)
        check_unit('sources.unit', source.unit)
        if source.missing == 'nodata' and source.bands is None:
            raise ConfigError('sources.bands', "numbers beside missing='nodata'")
        return source

    def path(self, results: Mapping[str, Any]) -> str | None:
        """Find the path of the file; None if the sample does not name it."""
        path = results.get(self.key)
        if path is None:
            return None
        if self.replace:
            path = path.replace(*self.replace)
        if self.suffix and path.endswith(self.suffix[0]):
            path = path.removesuffix(self.suffix[0]) + self.suffix[1]
        return path


def read_image(
    path: str,
    bands: Sequence[int] | None = None,
    nodata: float | str | None = None,
    unit: str | None = None,
    colors: bool = True,
) -> tuple[NDArray, NDArray[np.bool_]]:
    """Read a whole raster.

    Args:
        path: any format of GDAL's.
        bands: numbers from 1; None takes all but an alpha band.
        nodata: None takes the file's, a number replaces it, ``'ignore'`` does without.
        unit: unit of heights, which come in meters: None takes the file's, a name replaces it,
            ``'ignore'`` does without.
        colors: whether indices into a palette become colors; they stay as they are in a label map.

    Returns:
        (H, W, C) values, scaled as the file says, and (H, W) validity.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it cannot be read.
        ValueError: if it lacks a band.
    """
    if not os.path.exists(path) and not path.startswith('/vsi'):
        raise MissingFileError(path, 'a file')
    try:
        header = read_header(path)
        if not colors:
            header = replace(header, palette=())
        source = make_source(header, bands, nodata=nodata, unit=unit)
        with open_raster(path) as raster:
            values, valid = read_values(raster, source, (0, 0, header.height, header.width))
    except UnreadableFileError:
        raise
    except READ_ERRORS as error:
        raise UnreadableFileError(
            path, f'expected an image, found {read_reason(path, error)}'
        ) from error
    values = scale_values(values, source)
    return values.transpose(1, 2, 0), valid


@TRANSFORMS.register_module()
class LoadRasters(BaseTransform):
    """A loader of images from one or several rasters, their bands behind each other.

    Required keys: those that ``sources`` name (``img_path``). Added keys: ``img`` (H, W, C),
    float32 with NaN at nodata; ``img_shape``, ``ori_shape``.

    Args:
        sources: one dictionary per file:

            - **key** (``'img_path'``): of the sample, with the file's path.
            - **bands**: numbers from 1; all but an alpha band if not given.
            - **replace**: (old, new) parts of the path, and **suffix**: (old, new) endings, for a
              file that lies beside the one that ``key`` names.
            - **nodata**: the file's if not given; a number; ``'ignore'``.
            - **unit**: unit of heights, which come in meters: the file's if not given; a name;
              ``'ignore'``.
            - **missing**: ``'error'``, or ``'nodata'`` to go on with NaN.

        keep_dtype: hand out the file's own type and values at nodata (uint8 for color
            transforms); for one source or several of one type.

    Raises:
        FileNotFoundError, OSError: if a file is missing or unreadable.
        ValueError: if files differ in size, or lack a band.
    """

    def __init__(
        self, sources: Sequence[Mapping[str, Any]] = ({},), keep_dtype: bool = False
    ) -> None:
        self.sources = [RasterSource.from_config(source) for source in sources]
        self.keep_dtype = keep_dtype
        self._warned = False

    def transform(self, results: dict) -> dict:
        """Load."""
        parts: list[NDArray | None] = []
        first = ''
        shape: tuple[int, ...] = ()
        for source in self.sources:
            path = source.path(results)
            part = self._load(source, path)
            parts.append(part)
            if part is None:
                continue
            if shape and part.shape[:2] != shape:
                raise ValueError(
                    f'{path}: expected {shape[0]} x {shape[1]} pixels as in {first}, found '
                    f'{part.shape[0]} x {part.shape[1]}'
                )
            first, shape = first or str(path), part.shape[:2]
        if not shape:
            raise MissingFileError(str(results.get('img_path')), 'a file of one of the sources')

        # a missing file has the bands of the config, all of them nodata
        image = np.concatenate(
            [
                np.full((*shape, len(source.bands or ())), np.nan, np.float32)
                if part is None
                else part
                for source, part in zip(self.sources, parts, strict=True)
            ],
            axis=2,
        )
        results['img'] = np.ascontiguousarray(image)
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _load(self, source: RasterSource, path: str | None) -> NDArray | None:
        if path is None or not (os.path.exists(path) or path.startswith('/vsi')):
            if source.missing == 'nodata':
                return None
            if path is None:
                raise UnknownKeyError('sources.key', 'a key of the sample', source.key)
        assert path is not None
        values, valid = read_image(path, source.bands, source.nodata, source.unit)
        if self.keep_dtype:
            return values
        self._look_for_fills(path, values, valid)
        values = values.astype(np.float32)
        values[~valid] = np.nan
        return values

    def _look_for_fills(self, path: str, values: NDArray, valid: NDArray[np.bool_]) -> None:
        """Name the first file in which values that usually mark holes stand as heights."""
        if self._warned or values.shape[2] != 1 or values.itemsize == 1:
            return
        counts = count_fills(values[..., 0], valid)
        if counts:
            shares = {fill: count / valid.sum() for fill, count in counts.items()}
            said = describe_fills({path: shares}, 'nodata=')
            print_log(f'sources: {said}', logger='current', level=logging.WARNING)
            self._warned = True

    def __repr__(self) -> str:
        return f'{type(self).__name__}(sources={self.sources}, keep_dtype={self.keep_dtype})'
