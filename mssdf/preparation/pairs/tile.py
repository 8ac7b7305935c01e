"""Making of one tile: read, warp, judge, compare, write, and record."""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mssdf.errors import one_line
from mssdf.rasters.fill_values import count_fills
from mssdf.rasters.pool import RasterPool
from mssdf.rasters.read_errors import READ_ERRORS
from mssdf.rasters.units import METER
from mssdf.utils.atomic_file import write_atomically

from .alignment import correlate_edges, edge_strength
from .build_settings import BuildSettings
from .catalog import CatalogedRaster
from .cog import write_cog
from .filtering import judge_windows
from .plan import TERRAIN, Tile
from .records import checksum, empty_record, is_intact, load_record, record_path, remove_files
from .target_grid import Rect
from .warping import warp_mosaic

# Part of every digest; it is raised when the same rasters and settings make another tile.
VERSION = 2
PAIRS, SHARDS = 'pairs', 'shards'
# Share of a tile's pixels from which its shift counts as that of one raster.
MAIN_SHARE = 0.8


@dataclass(frozen=True)
class TileJob:
    """A tile with its part of the split and its usable pixels."""

    tile: Tile
    part: str
    rect: Rect
    dtypes: Mapping[str, str]


def make_tile(job: TileJob, settings: BuildSettings) -> dict[str, Any]:
    """Make a tile, unless a complete one exists.

    A tile exists if its record has the same settings and rasters, and its files have the recorded
    content. An error is recorded too, and the tile is tried again next time.

    Args:
        job: tile to make.
        settings: settings of all tiles.

    Returns:
        Record with ``name``, ``part``, ``status`` (``'written'``, ``'there'``, ``'dropped'`` or
        ``'failed'``), ``windows`` kept, ``dropped`` by reason, shares of ``valid`` and ``overlap``,
        ``correlations`` of edges, ``files``, ``seconds``, ``error``.
    """
    path = record_path(settings, job.tile.name)
    digest = _digest(job, settings)
    before = load_record(path)
    if before is not None and before['digest'] == digest and is_intact(before, settings):
        status = 'there' if before['windows'] else 'dropped'
        return {**before, **_place_of(job), 'status': status, 'seconds': 0.0}
    start = time.perf_counter()
    record: dict[str, Any] = dict(**_place_of(job), digest=digest)
    try:
        record |= _make(job, settings)
    except (*READ_ERRORS, ValueError, RuntimeError) as error:
        # The next tiles may succeed; the report names this one.
        message = f'{type(error).__name__}: {one_line(error)}'
        return {**record, **empty_record(), 'status': 'failed', 'error': message, 'seconds': 0.0}
    record['seconds'] = round(time.perf_counter() - start, 3)
    if before is not None:
        remove_files(settings, before, keep={entry['path'] for entry in record['files']})
    write_atomically(path, json.dumps(record).encode())
    return record


def _place_of(job: TileJob) -> dict[str, Any]:
    grid = job.tile.grid
    bounds = grid.bounds(job.rect)
    return dict(name=job.tile.name, part=job.part, crs=grid.crs, bounds=bounds)


def _digest(job: TileJob, settings: BuildSettings) -> str:
    rasters = {
        name: [(r.identity, r.source.bands, r.source.meters) for r in found]
        for name, found in job.tile.rasters.items()
    }
    grid = job.tile.grid
    return settings.digest(
        VERSION,
        job.part,
        asdict(job.rect),
        dict(job.dtypes),
        rasters,
        grid.crs,
        grid.pixel,
        grid.aspect,
        grid.anchor,
        sorted(settings.formats),
    )


def _make(job: TileJob, settings: BuildSettings) -> dict[str, Any]:
    """Make a tile and return its record."""
    record = empty_record()
    values, valid, main = _read(job, settings, record['fills'])

    windows, record['dropped'] = judge_windows(
        values,
        valid,
        settings.window,
        required=settings.required,
        max_invalid=settings.max_invalid,
        min_contrast={name: source.min_contrast for name, source in settings.sources.items()},
    )

    record['windows'] = len(windows)
    record['pixels'] = job.rect.size[0] * job.rect.size[1]
    record['valid'] = {name: int(known.sum()) for name, known in valid.items()}
    reference = valid[settings.reference]
    record['overlap'] = {
        name: int((known & reference).sum())
        for name, known in valid.items()
        if name != settings.reference
    }

    if not windows:
        return record

    record['correlations'] = _compare(job, settings, values, valid)
    record['main_raster'] = main
    record['files'] = _write(job, settings, values, valid, windows, record)
    record['status'] = 'written'

    return record


def _read(
    job: TileJob, settings: BuildSettings, fills: dict[str, dict[str, float]]
) -> tuple[dict[str, NDArray], dict[str, NDArray[np.bool_]], dict[str, str]]:
    """Read all modalities of a tile on its grid.

    Args:
        job: tile to read.
        settings: settings of all tiles.
        fills: dictionary that receives the number of heights with each value that usually marks a
            hole.

    Returns:
        Values (C, H, W) and validity (H, W) of each modality, and the raster that nearly all pixels
        come from, if there is one.
    """
    main: dict[str, str] = {}
    values: dict[str, NDArray] = {}
    valid: dict[str, NDArray[np.bool_]] = {}
    pool = RasterPool(max_open=8)
    tile = job.tile

    try:
        for name, source in settings.sources.items():
            rasters = tile.rasters.get(name)
            if rasters is None:
                continue

            method = source.resampling
            if method == 'auto' and source.is_height:
                method = 'bilinear'
            values[name], valid[name], taken = warp_mosaic(
                rasters, tile.grid, job.rect, method, job.dtypes[name], pool
            )

            if max(taken) > MAIN_SHARE * sum(taken):
                main[name] = rasters[taken.index(max(taken))].path
            _note_fills(fills, name, rasters, values[name], valid[name])

            # Heights above ground are unknown where the ground is unknown.
            if source.terrain:
                ground, known = (
                    warp_mosaic(
                        tile.rasters[TERRAIN + name], tile.grid, job.rect, method, 'float32', pool
                    )[:2]
                    if TERRAIN + name in tile.rasters
                    else (np.zeros_like(values[name]), np.zeros_like(valid[name]))
                )
                below = tile.rasters.get(TERRAIN + name, ())
                _note_fills(fills, TERRAIN + name, below, ground, known)
                valid[name] &= known
                values[name] = np.where(valid[name], values[name] - ground, np.float32(0))
    finally:
        pool.close()

    return values, valid, main


def _note_fills(
    fills: dict[str, dict[str, float]],
    name: str,
    rasters: Sequence[CatalogedRaster],
    values: NDArray,
    valid: NDArray[np.bool_],
) -> None:
    """Count values that usually mark holes among warped heights (1, H, W)."""
    for meters in {raster.source.meters[0] for raster in rasters if raster.source.may_be_heights}:
        counts = count_fills(values[0], valid, meters)
        if counts:
            found = {f'{value:g}': count for value, count in counts.items()}
            fills.setdefault(name, {}).update(found)


def _compare(
    job: TileJob,
    settings: BuildSettings,
    values: Mapping[str, NDArray],
    valid: Mapping[str, NDArray[np.bool_]],
) -> dict[str, str]:
    """Correlate each modality's edges with the reference's, and encode the results."""
    edges = {name: edge_strength(values[name], valid[name])[0] for name in values}
    packed = {}
    for name in values:
        if name == settings.reference:
            continue
        surface = correlate_edges(edges[settings.reference], edges[name], settings.max_shift)
        if surface is not None:
            packed[name] = pack_surface(surface)
    return packed


def pack_surface(surface: NDArray[np.float32]) -> str:
    """Encode a correlation as text."""
    return base64.b85encode(surface.astype('<f2').tobytes()).decode()


def unpack_surface(text: str) -> NDArray[np.float32]:
    """Decode the text of :func:`pack_surface`, with half precision."""
    flat = np.frombuffer(base64.b85decode(text), dtype='<f2').astype(np.float32)
    side = int(round(len(flat) ** 0.5))
    return flat.reshape(side, side)


def _write(
    job: TileJob,
    settings: BuildSettings,
    values: Mapping[str, NDArray],
    valid: Mapping[str, NDArray[np.bool_]],
    windows: list[tuple[int, int]],
    record: dict[str, Any],
) -> list[dict[str, Any]]:
    """Write a tile in every format; list the files."""
    tile, written = job.tile, []
    transform = tile.grid.transform(job.rect)
    if PAIRS in settings.formats:
        for name, source in settings.sources.items():
            if name not in values or not valid[name].any():
                continue
            path = settings.place(job.part, 'patch', f'{tile.name}{source.suffix}')
            lengths = any(METER in raster.source.units for raster in tile.rasters[name])
            write_cog(
                path,
                values[name],
                valid[name],
                tile.grid.crs,
                transform,
                settings.compress,
                METER if source.is_height or lengths else None,
            )
            written.append(path)
    if SHARDS in settings.formats:
        from mssdf.datasets.shards import write_shard

        path = settings.place(job.part, 'shards', f'chunk-{tile.name}.bin')
        samples = _samples(job, settings, values, valid, windows)
        info = write_shard(path, samples)
        record['shard'] = info.to_dict()
        written.append(path)
    return [
        dict(
            path=str(path.relative_to(settings.out)),
            bytes=path.stat().st_size,
            sha256=checksum(path),
        )
        for path in written
    ]


def _samples(
    job: TileJob,
    settings: BuildSettings,
    values: Mapping[str, NDArray],
    valid: Mapping[str, NDArray[np.bool_]],
    windows: list[tuple[int, int]],
) -> Iterator[dict[str, Any]]:
    """Yield the kept windows of a tile in the form of shards."""
    side, tile = settings.window, job.tile
    for row, col in windows:
        place = (..., slice(row, row + side), slice(col, col + side))
        there = [name for name in values if valid[name][place].any()]
        top, left = job.rect.top + row, job.rect.left + col
        yield dict(
            images={name: np.ascontiguousarray(values[name][place]) for name in there},
            valid={name: valid[name][place] for name in there},
            scene=tile.name,
            window=(row, col, side, side),
            crs=tile.grid.crs,
            transform=tuple(tile.grid.transform(Rect(top, left, top + side, left + side)))[:6],
            files={name: tile.rasters[name][0].path for name in there},
        )
