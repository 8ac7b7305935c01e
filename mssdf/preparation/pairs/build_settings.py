"""Settings of the building of pairs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mssdf.rasters.units import check_unit
from mssdf.utils.containment import inside

RESAMPLINGS = ('auto', 'nearest', 'bilinear', 'cubic', 'average')
FORMATS = ('pairs', 'shards')
COMPRESSIONS = ('zstd', 'deflate', 'lzw', 'none')

# Suffixes of the files of HR-Pairs; any other modality has NAME_<modality>.tif.
SUFFIXES = dict(rgb='_dom.tif', dsm='_dsm.tif')

# Options that were introduced after the first folders were made.
LATER = ('unit', 'terrain_nodata', 'terrain_unit')


@dataclass(frozen=True)
class SourceSettings:
    """Settings of one modality: its rasters and how they are read.

    Attributes:
        files: paths of rasters, local or GDAL's virtual ones; where they overlap, the first one
            wins.
        bands: band numbers from 1, in the wanted order; None takes all but an alpha band.
        nodata: None takes the file's value, a number replaces it, ``'ignore'`` takes none.
        resampling: name of the resampling; ``'auto'`` is bilinear for heights and where the target
            is finer, else average.
        unit: unit of heights; None takes the files', a name replaces it, ``'ignore'`` takes none.
        terrain: paths of rasters of the ground (DTM) that are subtracted, which gives heights above
            ground.
        terrain_nodata, terrain_unit: ``nodata`` and ``unit`` of these rasters.
        optional: whether a window may lack the modality.
        min_contrast: standard deviation below which a window counts as flat, in the modality's
            own unit.
        suffix: suffix of the files that are written.
    """

    files: tuple[str, ...]
    bands: tuple[int, ...] | None = None
    nodata: float | str | None = None
    resampling: str = 'auto'
    unit: str | None = None
    terrain: tuple[str, ...] = ()
    terrain_nodata: float | str | None = None
    terrain_unit: str | None = None
    optional: bool = False
    min_contrast: float = 0.0
    suffix: str = ''

    @property
    def is_height(self) -> bool:
        """True if the result is heights, which are interpolated and never averaged."""
        return bool(self.terrain) or self.suffix == SUFFIXES['dsm']


@dataclass(frozen=True)
class BuildSettings:
    """All settings that affect the output.

    Attributes:
        sources: settings of each modality, the reference first.
        out: folder to write.
        crs: CRS of the output, as GDAL understands it; None keeps that of the reference's files.
        resolution: meters per pixel; None keeps the reference's.
        tile: side of a tile in pixels; a tile is one unit of work and becomes at most one pair.
        window: side of the windows in pixels.
        formats: output formats, some of :data:`FORMATS`.
        max_invalid: largest share of invalid pixels in a usable window.
        val_share: share of the area for validation.
        split_block: side, in tiles, of the blocks that are split.
        split_gap: width in pixels of the gap between training and validation.
        max_shift: largest shift between modalities in the search, in pixels.
        compress: compression of the GeoTIFFs.
        seed: seed of the split.
    """

    sources: Mapping[str, SourceSettings]
    out: str
    crs: str | None = None
    resolution: float | None = None
    tile: int = 1280
    window: int = 320
    formats: tuple[str, ...] = ('pairs',)
    max_invalid: float = 0.5
    val_share: float = 0.1
    split_block: int = 4
    split_gap: int = 320
    max_shift: int = 16
    compress: str = 'zstd'
    seed: int = 0
    required: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        required = tuple(name for name, source in self.sources.items() if not source.optional)
        object.__setattr__(self, 'required', required)
        self._check()

    @property
    def reference(self) -> str:
        """Name of the modality whose grid is the output's."""
        return next(iter(self.sources))

    def _check(self) -> None:
        if not self.sources:
            raise ValueError('--source: expected at least one modality, found none')

        if self.reference not in self.required:
            raise ValueError(
                '--optional: expected modalities other than the reference, found '
                f'{self.reference!r}'
            )

        for name, source in self.sources.items():
            _one_of(f'--resampling {name}', source.resampling, RESAMPLINGS)
            check_unit(f'--unit {name}', source.unit)
            check_unit(f'--dtm-unit {name}', source.terrain_unit)
            for option in ('terrain_nodata', 'terrain_unit'):
                if getattr(source, option) is not None and not source.terrain:
                    raise ValueError(
                        f'{option.replace("terrain_", "--dtm-")} {name}: expected '
                        f'--dtm {name}=PLACE beside it, found none'
                    )

        for name in self.formats:
            _one_of('--formats', name, FORMATS)
        _one_of('--compress', self.compress, COMPRESSIONS)

        suffixes = [source.suffix for source in self.sources.values()]
        if len(set(suffixes)) < len(suffixes) or not all(suffixes):
            raise ValueError(f'--suffix: expected one of its own for each, found {suffixes}')

        for option, value, low, high in (
            ('--window', self.window, 16, 65536),
            ('--tile', self.tile, self.window, 65536),
            ('--max-invalid', self.max_invalid, 0, 1),
            ('--val-share', self.val_share, 0, 0.9),
            ('--split-block', self.split_block, 1, 10**6),
            ('--split-gap', self.split_gap, 1, self.tile * self.split_block // 2),
            ('--max-shift', self.max_shift, 1, self.window // 2),
        ):
            if not low <= value <= high:
                raise ValueError(f'{option}: expected {low} to {high}, found {value}')
        if self.resolution is not None and not self.resolution > 0:
            raise ValueError(f'--resolution: expected meters above 0, found {self.resolution}')

    def place(self, *parts: str) -> Path:
        """Return a path in the output folder; nothing is written or removed elsewhere.

        Raises:
            OutsideError: if the path leads elsewhere.
        """
        return inside(self.out, *parts)

    def folder(self, *parts: str) -> Path:
        """Return a folder in the output folder that no link leads out of.

        Raises:
            OutsideError: if the folder is elsewhere.
        """
        return self.place(*parts, '_').parent

    def facts(self) -> dict[str, Any]:
        """Collect what affects a tile's content, except its files, as JSON can store it."""
        state = asdict(self)
        for key in ('out', 'formats', 'required', 'val_share', 'seed', 'split_block'):
            state.pop(key)
        for source in state['sources'].values():
            source.pop('files')
            source.pop('terrain')
            # Folders from before these options existed stay valid.
            for key in LATER:
                if source[key] is None:
                    source.pop(key)
        return json.loads(json.dumps(state))

    def digest(self, *more: Any) -> str:
        """Hash :meth:`facts` and further values that JSON can store."""
        content = json.dumps([self.facts(), *more], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:32]


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f'{option}: expected one of {", ".join(allowed)}, found {value!r}')
