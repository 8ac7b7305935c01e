"""The tool that builds pairs, from real rasters of different grids to what the dataset reads."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pairs_data as data
import pytest
import rasterio
from affine import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import Resampling, calculate_default_transform, reproject

from mssdf.datasets import MultiModalRasterDataset, ShardDataset
from mssdf.preparation.pairs.scheduling import run_everywhere

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/dataset_tools/build_pairs.py'
SMALL = ['--tile', '320', '--window', '160', '--split-block', '1', '--split-gap', '40']


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    """Autzen as it might arrive: colors in strips, heights in another CRS and resolution."""
    folder = tmp_path_factory.mktemp('sources')
    colors, heights, valid, place, crs = data.real_pair()
    colors, heights = colors[:, :1000, :1000], heights[:, :1000, :1000]
    data.cut_north_south(folder / 'ortho', 'ortho', colors[::-1], place, crs, 3)
    utm = 'EPSG:32610'
    west, north = place.c, place.f
    bounds = (west, north + 1000 * place.e, west + 1000 * place.a, north)
    target, width, height = calculate_default_transform(
        crs, utm, 1000, 1000, *bounds, resolution=0.8
    )
    moved = np.full((1, height, width), -32767, dtype=np.float32)
    reproject(
        heights,
        moved,
        src_transform=place,
        src_crs=crs,
        src_nodata=-9999,
        dst_transform=target,
        dst_crs=utm,
        dst_nodata=-32767,
        resampling=Resampling.bilinear,
    )
    data.write(folder / 'dsm' / 'dsm.tif', moved, target, utm, nodata=-32767)
    ground = np.full((1, 60, 60), 120.0, dtype=np.float32)
    data.write(
        folder / 'dtm.tif', ground, Affine(30, 0, west - 100, 0, -30, north + 100), crs, -9999
    )
    return folder


def arguments(sources, out, *more):
    return [
        str(out),
        *('--source', f'rgb={sources}/ortho', '--source', f'dsm={sources}/dsm'),
        *('--bands', 'rgb=3,2,1', *SMALL, *more),
    ]


@pytest.fixture(scope='module')
def built(tool, sources, tmp_path_factory):
    out = tmp_path_factory.mktemp('built')
    assert tool.main(arguments(sources, out, '--val-share', '0.2', '--workers', '0')) == 0
    return out


def records(out):
    return {p.stem: json.loads(p.read_text()) for p in sorted(out.glob('.build/*.json'))}


def checksums(out):
    return {
        entry['path']: entry['sha256'] for one in records(out).values() for entry in one['files']
    }


def test_colors_keep_their_pixels_and_heights_their_meters(sources, built):
    """Colors need no resampling; heights went to UTM at 0.8 m and come back as GDAL does it."""
    colors, heights, valid, place, _ = data.real_pair()
    checked = 0
    for path in built.glob('*/patch/*_dom.tif'):
        dom, known, profile = data.read(path)
        dsm, good, _ = data.read(path.with_name(path.name.replace('_dom', '_dsm')))
        col, row = (round(x) for x in ~place * (profile['transform'].c, profile['transform'].f))
        part = (slice(row, row + dom.shape[1]), slice(col, col + dom.shape[2]))
        np.testing.assert_array_equal(dom[:, known], colors[:, part[0], part[1]][:, known])
        both = good & valid[part]
        error = np.abs(dsm[0] - heights[0][part])[both]
        # crowns and walls are smeared twice by bilinear interpolation at 0.8 m
        assert np.median(error) < 0.3
        with (
            rasterio.open(sources / 'dsm/dsm.tif') as source,
            WarpedVRT(
                source,
                crs=profile['crs'],
                transform=profile['transform'],
                height=dom.shape[1],
                width=dom.shape[2],
                resampling=Resampling.bilinear,
                tolerance=0.02,
            ) as direct,
        ):
            expected, there = direct.read(1), direct.read_masks(1) > 0
        assert (good & ~there).sum() == 0
        assert (there & ~good).mean() < 0.05  # borders, where GDAL extrapolates
        np.testing.assert_allclose(dsm[0][good], expected[good], atol=0.02)
        checked += 1
    assert checked >= 4


def test_outputs_are_cloud_optimized(built):
    for path in built.glob('*/patch/*.tif'):
        with rasterio.open(path) as raster:
            assert raster.tags(ns='IMAGE_STRUCTURE')['LAYOUT'] == 'COG'
            assert raster.compression.name == 'zstd'
            assert raster.block_shapes[0] == (256, 256)


def test_the_dataset_reads_what_was_built(built):
    report = json.loads((built / 'report.json').read_text())
    for part in ('train', 'val'):
        dataset = MultiModalRasterDataset(
            data_root=str(built / part),
            modalities=dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif')),
            windows=dict(size=160),
            pipeline=[],
            index=dict(cache_dir=''),
        )
        assert len(dataset) == report['parts'][part]['windows'] > 0


def test_shards_hold_the_windows_of_the_pairs(tool, sources, built, tmp_path):
    pytest.importorskip('litdata')
    both = ('--val-share', '0.2', '--workers', '0', '--formats', 'pairs', 'shards')
    assert tool.main(arguments(sources, tmp_path, *both)) == 0
    assert {p: s for p, s in checksums(tmp_path).items() if p.endswith('.tif')} == checksums(built)
    modalities = dict(rgb=dict(suffix='_dom.tif'), dsm=dict(suffix='_dsm.tif'))
    for part in ('train', 'val'):
        common = dict(
            data_root=str(tmp_path / part),
            modalities=modalities,
            windows=dict(size=160),
            pipeline=[],
        )
        rasters = MultiModalRasterDataset(**common, index=dict(cache_dir=''))
        shards = ShardDataset(**common)
        pairs = [
            {(s['scene'], tuple(s['window'][:2])): s for s in (d[i] for i in range(len(d)))}
            for d in (rasters, shards)
        ]
        assert pairs[0].keys() == pairs[1].keys()
        for key, sample in pairs[0].items():
            for name, image in sample['images'].items():
                np.testing.assert_array_equal(image, pairs[1][key]['images'][name])
                np.testing.assert_array_equal(sample['valid'][name], pairs[1][key]['valid'][name])


def test_no_window_of_validation_touches_training(built):
    made = [r for r in records(built).values() if r['status'] == 'written']
    boxes = {part: [r['bounds'] for r in made if r['part'] == part] for part in ('train', 'val')}
    assert all(boxes.values())
    pixel = data.real_pair()[3].a
    for left, bottom, right, top in boxes['val']:
        for box in boxes['train']:
            apart = max(box[0] - right, left - box[2], box[1] - top, bottom - box[3])
            assert apart >= 40 * pixel - 1e-6


def test_counts_and_reports(built):
    report = json.loads((built / 'report.json').read_text())
    made = records(built).values()
    for part, figures in report['parts'].items():
        mine = [r for r in made if r['part'] == part]
        assert figures['windows'] == sum(r['windows'] for r in mine)
        on_disk = sum(p.stat().st_size for p in (built / part).rglob('*.tif'))
        assert figures['bytes'] == on_disk
    assert (built / 'report.png').stat().st_size > 10_000
    assert len((built / 'tiles.csv').read_text().splitlines()) == len(made) + 1
    assert 0.9 < report['overlap']['dsm'] <= 1


def test_heights_above_ground(tool, sources, built, tmp_path):
    more = ('--dtm', f'dsm={sources}/dtm.tif', '--val-share', '0', '--workers', '0')
    assert tool.main(arguments(sources, tmp_path, *more)) == 0
    compared = 0
    for path in tmp_path.glob('train/patch/*_dsm.tif'):
        other = built / 'train/patch' / path.name
        if other.is_file():
            above, known, _ = data.read(path)
            surface, good, _ = data.read(other)
            np.testing.assert_array_equal(known, good)
            np.testing.assert_allclose(above[0][known], surface[0][known] - 120, atol=1e-3)
            compared += 1
    assert compared >= 3


def test_a_second_run_redoes_nothing_and_a_damaged_file_only_itself(tool, sources, built, capsys):
    before = {p: p.stat().st_mtime_ns for p in built.rglob('*.tif')}
    same = checksums(built)
    command = arguments(sources, built, '--val-share', '0.2', '--workers', '0')
    assert tool.main(command) == 0
    assert {p: p.stat().st_mtime_ns for p in built.rglob('*.tif')} == before
    victim, other, *_ = sorted(before)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 0xFF
    victim.write_bytes(content)
    assert tool.main(command) == 0
    assert checksums(built) == same
    after = {p: p.stat().st_mtime_ns for p in built.rglob('*.tif')}
    redone = {p for p in after if after[p] != before[p]}
    tile = victim.name.rsplit('_', 1)[0]
    assert victim in redone and all(p.name.startswith(tile) for p in redone)


def test_other_settings_are_refused(tool, sources, built, capsys):
    command = arguments(sources, built, '--val-share', '0.2', '--workers', '0')
    assert tool.main([*command, '--max-invalid', '0.1']) == 2
    line = capsys.readouterr().out.strip()
    assert 'max_invalid' in line and '0.1' in line and '\n' not in line


def test_killed_at_any_moment_the_next_run_completes(sources, built, tmp_path):
    """SIGKILL while tiles are written; in the end the files are those of a run left alone."""
    command = [
        *(sys.executable, str(TOOL)),
        *arguments(sources, tmp_path, '--val-share', '0.2', '--workers', '0'),
    ]
    kills = 0
    for count in (1, 4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(1200):
            if len(list(tmp_path.glob('*/patch/*'))) >= count or process.poll() is not None:
                break
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate(timeout=60)
    assert kills == 2
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stdout
    assert checksums(tmp_path) == checksums(built)
    assert not list(tmp_path.rglob('*partial*'))


def test_what_was_split_once_stays(tool, sources, tmp_path):
    """A strip that arrives later changes no part of an earlier one."""
    north = sorted((sources / 'ortho').glob('*.tif'))[:2]
    base = [str(tmp_path), '--source', 'rgb=' + str(north[0]), str(north[1])]
    rest = ['--source', f'dsm={sources}/dsm', *SMALL, '--val-share', '0.3', '--workers', '0']
    assert tool.main([*base, *rest]) == 0
    before = json.loads((tmp_path / 'split.json').read_text())
    everything = [str(tmp_path), '--source', f'rgb={sources}/ortho', *rest]
    assert tool.main(everything) == 0
    after = json.loads((tmp_path / 'split.json').read_text())
    assert len(after) > len(before)
    assert {block: after[block] for block in before} == before


def test_tiles_without_rasters_are_removed_on_request_only(tool, sources, tmp_path, capsys):
    rest = ['--source', f'dsm={sources}/dsm', *SMALL, '--val-share', '0', '--workers', '0']
    assert tool.main([str(tmp_path), '--source', f'rgb={sources}/ortho', *rest]) == 0
    many = len(list(tmp_path.rglob('*_dom.tif')))
    first = sorted((sources / 'ortho').glob('*.tif'))[0]
    fewer = [str(tmp_path), '--source', f'rgb={first}', *rest]
    capsys.readouterr()
    assert tool.main(fewer) == 2
    assert '--prune' in capsys.readouterr().out
    assert len(list(tmp_path.rglob('*_dom.tif'))) == many
    assert tool.main([*fewer, '--prune']) == 0
    assert 0 < len(list(tmp_path.rglob('*_dom.tif'))) < many


def test_one_misregistered_raster_among_several_is_named(tool, tmp_path, capsys):
    """Three surface models side by side; one is moved by (6, -6) pixels."""
    colors, heights, _, place, crs = data.real_pair()
    data.write(tmp_path / 'rgb.tif', colors, place, crs)
    paths = data.cut_north_south(tmp_path / 'dsm', 'dsm', heights, place, crs, 3, nodata=-9999)
    values, _, profile = data.read(paths[1])
    moved = profile['transform'] * Affine.translation(-6, 6)
    data.write(paths[1], values, moved, crs, nodata=-9999)
    command = [
        *(str(tmp_path / 'out'), '--source', f'rgb={tmp_path}/rgb.tif'),
        *('--source', f'dsm={tmp_path}/dsm', '--tile', '187', '--window', '160'),
        *('--split-gap', '40', '--val-share', '0', '--workers', '0'),
    ]
    assert tool.main(command) == 0
    report = json.loads((tmp_path / 'out/report.json').read_text())['by_raster']['dsm']
    suspicious = [Path(path).name for path, shift in report.items() if shift['suspicious']]
    assert suspicious == ['dsm_1.tif']
    assert 'CHECK' in capsys.readouterr().out
    others = [s for path, s in report.items() if Path(path).name != 'dsm_1.tif']
    usual = np.median([(s['rows'], s['cols']) for s in others], axis=0)
    found = next(s for path, s in report.items() if Path(path).name == 'dsm_1.tif')
    assert found['rows'] - usual[0] == pytest.approx(6, abs=2.5)
    assert found['cols'] - usual[1] == pytest.approx(-6, abs=2.5)


def test_a_broken_raster_is_named_and_the_others_are_used(tool, sources, tmp_path, capsys):
    """One strip is no raster at all, one is cut off in the middle."""
    folder = tmp_path / 'ortho'
    folder.mkdir()
    strips = sorted((sources / 'ortho').glob('*.tif'))
    for strip in strips:
        (folder / strip.name).write_bytes(strip.read_bytes())
    (folder / 'note.tif').write_text('not a raster')
    cut = folder / strips[2].name
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    command = [
        *(str(tmp_path / 'out'), '--source', f'rgb={folder}', '--source', f'dsm={sources}/dsm'),
        *(*SMALL, '--val-share', '0', '--workers', '0'),
    ]
    assert tool.main(command) == 1
    said = capsys.readouterr().out
    assert 'refused' in said and 'note.tif' in said
    report = json.loads((tmp_path / 'out/report.json').read_text())
    assert report['failed'] and all(cut.name in reason for reason in report['failed'].values())
    assert report['parts']['train']['written'] >= 4
    # whole again, only what failed is made
    cut.write_bytes(strips[2].read_bytes())
    assert tool.main(command) == 0


def test_virtual_paths(tool, sources, tmp_path):
    """GDAL's /vsicurl/ over a server with ranges, from a list in a file."""
    server = subprocess.Popen(  # not a thread: GDAL waits for it without letting others run
        [sys.executable, str(Path(__file__).with_name('range_server.py')), str(sources)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = f'/vsicurl/http://127.0.0.1:{int(server.stdout.readline())}'
        listing = tmp_path / 'ortho.txt'
        names = sorted(p.name for p in (sources / 'ortho').glob('*.tif'))
        listing.write_text('\n'.join(f'{address}/ortho/{name}' for name in names))
        command = [
            *(str(tmp_path / 'out'), '--source', f'rgb={listing}'),
            *('--source', f'dsm={address}/dsm/dsm.tif', '--bands', 'rgb=3,2,1', *SMALL),
            *('--val-share', '0.2', '--workers', '0'),
        ]
        assert tool.main(command) == 0
    finally:
        server.kill()
        server.communicate()
    local = tmp_path / 'local'
    assert tool.main(arguments(sources, local, '--val-share', '0.2', '--workers', '0')) == 0
    assert checksums(tmp_path / 'out') == checksums(local)


def test_a_cluster_gives_what_one_process_gives(tool, sources, built, tmp_path):
    """Through the address of a scheduler, as on a cluster."""
    distributed = pytest.importorskip('dask.distributed')
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        command = arguments(sources, tmp_path, '--val-share', '0.2', '--scheduler', address)
        assert tool.main(command) == 0
    assert checksums(tmp_path) == checksums(built)


def test_a_process_that_dies_costs_its_tile_alone():
    """The work of one job kills its process, whenever it is tried."""
    pytest.importorskip('dask.distributed')
    results = run_everywhere(
        _die_at_three, range(6), workers=1, on_lost=lambda job, reason: (job, 'lost')
    )
    assert sorted(results) == [(i, 'lost' if i == 3 else 'done') for i in range(6)]


def _die_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number, 'done'


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (['--source', 'rgb=/nowhere'], ['/nowhere', 'expected a raster']),
        (['--bands', 'rbg=1,2,3'], ['--bands', 'rbg']),
        (['--bands', 'rgb=1,2,9'], ['rgb', '9', '3 band']),
        (['--crs', 'EPSG:1'], ['--crs', 'EPSG:1']),
        (['--crs', 'EPSG:4326'], ['--crs', 'degrees']),
        (['--tile', '100'], ['--tile', '100']),
        (['--max-invalid', '2'], ['--max-invalid', '2']),
        (['--resampling', 'dsm=lanczos'], ['--resampling dsm', 'lanczos']),
        (['--optional', 'rgb'], ['--optional', 'rgb']),
        (['--resolution', '-1'], ['--resolution', '-1']),
    ],
)
def test_wrong_options_get_one_line(tool, sources, tmp_path, capsys, change, words):
    base = arguments(sources, tmp_path / 'out', '--workers', '0')
    if change[0] == '--source':
        base = [x for x in base if not x.startswith('rgb=/')]
        base.remove('--source')
        change = [*change, '--optional', 'dsm']
    assert tool.main([*base, *change]) == 2
    line = capsys.readouterr().out.strip()
    assert '\n' not in line and all(word in line for word in words), line


def test_places_that_do_not_overlap(tool, sources, tmp_path, capsys):
    values = np.zeros((1, 400, 400), np.float32)
    far = data.write(tmp_path / 'far.tif', values, Affine(1, 0, 5e5, 0, -1, 5e6), 'EPSG:32633')
    command = [
        *(str(tmp_path / 'out'), '--source', f'rgb={sources}/ortho', '--source', f'dsm={far}'),
        *('--workers', '0'),
    ]
    assert tool.main(command) == 2
    assert 'overlap nowhere' in capsys.readouterr().out
