"""Building of training data from folders of rasters, from start to end."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mssdf.errors import one_line
from mssdf.utils.atomic_file import remove_partial_files
from mssdf.utils.progress import track

from ..benchmarks.kept_settings import keep_settings
from .build_settings import BuildSettings
from .plan import Plan
from .records import (
    RECORDS,
    empty_record,
    list_records,
    load_record,
    record_path,
    remove_files,
)
from .scheduling import run_everywhere
from .split import TRAIN, VAL, block_of, keep_apart, load_split, save_split, split_blocks
from .tile import SHARDS, TileJob, make_tile

if TYPE_CHECKING:
    from mssdf.datasets.shards import ShardInfo

PARTS = (TRAIN, VAL)


def lay_out(plan: Plan, settings: BuildSettings) -> list[TileJob]:
    """Assign each tile its part and its pixels; the parts of an earlier run are kept.

    Raises:
        ValueError: if the content of the folder was made with other settings.
    """
    records = list_records(settings)
    facts = {key: json.dumps(value) for key, value in settings.facts().items()}
    facts |= dict(split=json.dumps([settings.split_block, settings.seed]))
    keep_settings(settings.place('settings.json'), facts, records)

    # A tile keeps the part of an earlier run, so that training and validation ground stay apart.
    parts = split_blocks(
        plan.tiles,
        settings.val_share,
        settings.split_block,
        settings.seed,
        load_split(settings.place('split.json')),
        gap=settings.split_gap,
        window=settings.window,
    )
    save_split(settings.place('split.json'), parts)

    rects = keep_apart(plan.tiles, parts, settings.split_block, settings.split_gap)
    side = settings.split_block
    return [
        TileJob(tile, parts[block_of(tile, side)], rects[tile.name], plan.dtypes)
        for tile in plan.tiles
    ]


def forgotten(jobs: Sequence[TileJob], settings: BuildSettings) -> list[Path]:
    """List the records of earlier tiles that no raster covers any more."""
    known = {record_path(settings, job.tile.name) for job in jobs}
    return [path for path in list_records(settings) if path not in known]


def forget(records: Sequence[Path], settings: BuildSettings) -> None:
    """Remove the files and records of earlier tiles."""
    for path in records:
        record = load_record(path)
        if record is not None:
            remove_files(settings, record)
        settings.place(RECORDS, path.name).unlink()


def build(
    jobs: Sequence[TileJob],
    plan: Plan,
    settings: BuildSettings,
    *,
    workers: int,
    scheduler: str | None = None,
    memory_limit: str | None = None,
) -> list[dict[str, Any]]:
    """Make all missing tiles, then the indices of the shards.

    Args:
        jobs: tiles to make.
        plan: plan that the tiles belong to.
        settings: settings of the build.
        workers: number of processes of a local cluster; 0 works in this one, without Dask.
        scheduler: address of a running Dask scheduler, whose workers see the same files.
        memory_limit: memory of each local process, such as ``'4GiB'``; None gives each an equal
            share.

    Returns:
        Records of :func:`~mssdf.preparation.pairs.tile.make_tile`, in the order of the tiles.
    """
    for part in PARTS:
        remove_partial_files(settings.folder(part, 'patch'))
        if SHARDS in settings.formats:
            from mssdf.datasets.shards import remove_partial_shards

            remove_partial_shards(settings.folder(part, 'shards'))
    results = run_everywhere(
        partial(make_tile, settings=settings),
        jobs,
        workers=workers,
        scheduler=scheduler,
        memory_limit=memory_limit,
        on_lost=_lost,
    )
    records = {record['name']: record for record in track(results, len(jobs), 'tiles')}
    ordered = [records[job.tile.name] for job in jobs]
    if SHARDS in settings.formats:
        _write_indices(ordered, plan, settings)
    return ordered


def _lost(job: TileJob, reason: str) -> dict[str, Any]:
    return {
        **empty_record(),
        'name': job.tile.name,
        'part': job.part,
        'crs': job.tile.grid.crs,
        'bounds': job.tile.grid.bounds(job.rect),
        'status': 'failed',
        'seconds': 0.0,
        'error': f'its process died (out of memory, or a fault in a library): {reason}',
    }


def _write_indices(
    records: Sequence[Mapping[str, Any]], plan: Plan, settings: BuildSettings
) -> None:
    from mssdf.datasets.shards import write_index

    modalities = {
        name: dict(bands=plan.bands[name], dtype=plan.dtypes[name]) for name in settings.sources
    }
    for part in PARTS:
        infos = [
            _shard_of(record, settings)
            for record in records
            if record['part'] == part and record.get('shard') and record['status'] != 'failed'
        ]
        if infos:
            write_index(settings.folder(part, 'shards'), infos, modalities=modalities)


def _shard_of(record: Mapping[str, Any], settings: BuildSettings) -> 'ShardInfo':
    from mssdf.datasets.shards import ShardInfo

    try:
        return ShardInfo.from_dict(record['shard'])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        path = record_path(settings, record['name'])
        reason = one_line(error)
        raise ValueError(f'{path}: shard: {reason}; without this file it is rebuilt') from None
