"""Faults in rasters, each injected for real: one clear error, or a skip that is named and counted.

What survives to training is trained on: the weights stay finite. All are in docs/guide/faults.md.
"""

import functools
import http.server
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from option_groups import merged
from rasterio.errors import RasterioIOError
from tiny_pretraining import MODALITIES, non_finite, tiny_pretraining

from mssdf.datasets import MultiModalRasterDataset, SampleIndex
from mssdf.rasters import pool as raster_pool
from mssdf.rasters.failures import UnreadableDataError
from mssdf.rasters.pool import RasterPool

PACK = [dict(type='mssdf.PackMultiModalInputs')]
PAIRS = 12  # 24 files: one that fails is below the 5 % that may
SIDE = 64
HERE = Path(__file__).parent
FOLDERS = [str(HERE), str(HERE.parent / 'helpers')]


def make(scenes, **options) -> MultiModalRasterDataset:
    settings = dict(
        modalities=MODALITIES,
        windows=dict(size=SIDE),
        reading=dict(retry_seconds=0.0),
        index=dict(cache_dir=''),
        pipeline=PACK,
    )
    return MultiModalRasterDataset(scenes=scenes, **merged(settings, options))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Messages of the log, this process's."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Keeper(), MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


@pytest.fixture
def pairs(write_raster, data_root) -> list[dict[str, str]]:
    """Windows of Autzen as files of their own, on one grid each."""
    rows = []
    patch = data_root / 'autzen/patch'
    with (
        rasterio.open(patch / 'autzen_dom.tif') as rgb,
        rasterio.open(patch / 'autzen_dsm.tif') as dsm,
    ):
        rgb_all, dsm_all = rgb.read(), dsm.read()
    for i in range(PAIRS):
        part = np.s_[:, 400 : 400 + SIDE, 80 * i + 300 : 80 * i + 300 + SIDE]
        place = dict(origin=(500_000.0 + 100 * i, 4_000_000.0))
        rows.append(
            dict(
                name=f's{i:02d}',
                rgb=write_raster(f's{i:02d}_rgb.tif', rgb_all[part], **place),
                dsm=write_raster(f's{i:02d}_dsm.tif', dsm_all[part], nodata=-9999, **place),
            )
        )
    return rows


def rewrite(path: str, change: Callable | None = None, **profile) -> None:
    """Write a file again with other pixels or another header."""
    with rasterio.open(path) as raster:
        pixels, old = raster.read(), dict(raster.profile)
    pixels = change(pixels) if change else pixels
    old.update(count=len(pixels), dtype=pixels.dtype, height=pixels.shape[1], width=pixels.shape[2])
    with rasterio.open(path, 'w', **{**old, **profile}) as raster:
        raster.write(pixels)


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    """Describing the machine takes longer than these trainings."""
    monkeypatch.setattr(Runner, '_log_env', lambda *_: None)


def train(config) -> Runner:
    """Train; every weight and moment is finite afterwards, and so was each loss."""
    torch.set_num_threads(1)
    config.experiment_name = f'faults-{time.monotonic_ns()}'
    runner = Runner.from_cfg(config)
    model = runner.train()
    assert non_finite(model, runner.optim_wrapper.optimizer) == []
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert len(losses) == runner.iter > 0 and np.isfinite(losses.astype(float)).all()
    return runner


def trained_on(scenes, tmp_path, **options) -> Runner:
    return train(tiny_pretraining(scenes, str(tmp_path / 'run'), batch_size=4, **options))


def train_on(scenes, tmp_path, **options) -> MultiModalRasterDataset:
    return trained_on(scenes, tmp_path, **options).train_dataloader.dataset


def logged(folder: Path) -> list[str]:
    """Lines of the training's log, its workers' too."""
    (path,) = (folder / 'run').rglob('*.log')
    return path.read_text().splitlines()


def truncate(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 3)


def empty(path: str) -> None:
    os.truncate(path, 0)


def no_raster(path: str) -> None:
    Path(path).write_text('<html><body>404 Not Found</body></html>\n')


def folder_instead(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


def claim_size(path: str, width: int = 2_000_000_000, height: int = 2_000_000_000) -> None:
    """Write another width and height into the tags of a little-endian TIFF."""
    data = bytearray(Path(path).read_bytes())
    start = int.from_bytes(data[4:8], 'little')
    for i in range(int.from_bytes(data[start : start + 2], 'little')):
        tag = start + 2 + 12 * i
        value = {256: width, 257: height, 278: height}.get(
            int.from_bytes(data[tag : tag + 2], 'little')
        )
        if value is not None:
            data[tag + 2 : tag + 4] = (4).to_bytes(2, 'little')  # a 32-bit number
            data[tag + 8 : tag + 12] = value.to_bytes(4, 'little')
    Path(path).write_bytes(data)


SKIPPED = {
    'zero-length': (empty, r'the file is empty \(0 bytes\)'),
    'not a raster': (no_raster, 'not recognized as being in a supported file format'),
    'gone': (os.unlink, 'no such file'),
    'a folder': (folder_instead, '.'),
    'absurd size': (claim_size, '.'),
    'absurd width': (functools.partial(claim_size, height=SIDE), '.'),
}


@pytest.mark.parametrize('modality', ['rgb', 'dsm'])
@pytest.mark.parametrize('fault', SKIPPED)
def test_one_bad_file_is_left_out_and_named(pairs, log, tmp_path, fault, modality):
    damage, reason = SKIPPED[fault]
    bad = pairs[5][modality]
    damage(bad)
    dataset = make(pairs)
    assert {scene.name for scene in dataset.scenes} == {pair['name'] for pair in pairs} - {'s05'}
    named = [line for line in log if bad in line]
    assert len(named) == 1 and re.search(reason, named[0]) and '\n' not in named[0]
    assert dataset._failures.failed == [bad]
    with pytest.raises(UnreadableDataError, match=rf'1 of 24 files failed.*{re.escape(bad)}'):
        make(pairs, reading=dict(max_failed_share=0.0))


@pytest.mark.parametrize('modality', ['rgb', 'dsm'])
def test_a_truncated_file_is_met_where_its_blocks_are_missing(pairs, log, modality):
    bad = pairs[5][modality]
    truncate(bad)
    dataset = make(pairs)
    expected = make(pairs[:5] + pairs[6:])
    names = {dataset[SampleIndex(i, 0)]['data_samples'].scene for i in range(len(dataset))}
    assert names <= {scene.name for scene in expected.scenes}
    named = [line for line in log if bad in line]
    assert len(named) == 1 and re.search('IReadBlock failed', named[0]) and '\n' not in named[0]
    assert dataset._failures.failed == [bad]


def test_what_is_left_trains(pairs, tmp_path):
    damages = [truncate, *(damage for damage, _ in SKIPPED.values())]
    for pair, damage in zip(pairs, damages, strict=False):
        damage(pair['rgb'])
    dataset = train_on(pairs, tmp_path, reading=dict(max_failed_share=0.5), epochs=4)
    assert len(dataset.scenes) == PAIRS - len(SKIPPED)  # the truncated one can be opened
    assert dataset._failures.failed == [pair['rgb'] for pair in pairs[: len(damages)]]


def test_an_absurd_size_allocates_nothing(pairs):
    """Whatever the header says, and whichever way its blocks lie."""
    code = (
        'import json, resource, sys\n'
        'from mssdf.rasters.raster_header import read_header\n'
        'from mssdf.rasters.read_errors import READ_ERRORS\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'for path in sys.argv[1:]:\n'
        '    try: print(read_header(path))\n'
        '    except READ_ERRORS as error: print("refused", error)\n'
        'print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n'
    )
    sizes = [(2_000_000_000,) * 2, (1_000_000_000, SIDE), (SIDE, 2_000_000_000)]
    for pair, size in zip(pairs, sizes, strict=False):
        claim_size(pair['rgb'], *size)
    ran = subprocess.run(
        [sys.executable, '-c', code, *(pair['rgb'] for pair in pairs[:3])],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.stdout.count('refused') == 3, ran.stdout + ran.stderr
    assert int(ran.stdout.splitlines()[-1]) < 64


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter; pytest's are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


def test_permission_denied(pairs, open_folder):
    """As another user: root may read everything."""
    for pair in pairs:
        pair.update({m: shutil.copy(pair[m], open_folder) for m in MODALITIES})
    bad, work = pairs[3]['dsm'], open_folder
    os.chmod(bad, 0)
    script = open_folder / 'read.py'
    script.write_text(
        'import json, logging, os, sys\n'
        'import torch\n'
        'import mssdf.datasets, mssdf.models\n'
        f'sys.path[:0] = {FOLDERS!r}\n'
        'import test_raster_faults as faults\n'
        'from mmengine.logging import MMLogger\n'
        'logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))\n'
        'scenes, work = json.loads(sys.argv[1]), faults.Path(sys.argv[2])\n'
        'faults.Runner._log_env = lambda *_: None\n'
        # what is imported on the way may lie where only this user may read
        'faults.train_on(scenes[:3], work / "first")\n'
        'if os.getuid() == 0:\n'
        '    os.setgroups([]); os.setgid(65534); os.setuid(65534)\n'
        'try: open(scenes[3]["dsm"]); raise SystemExit("it can be read")\n'
        'except PermissionError: pass\n'
        'print(len(faults.train_on(scenes, work / "second").scenes))\n'
    )
    ran = subprocess.run(
        [sys.executable, str(script), json.dumps(pairs), str(work)],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ, HOME=str(work), OMP_NUM_THREADS='1', PYTHONDONTWRITEBYTECODE='1'),
    )
    output = ran.stdout + ran.stderr
    assert ran.returncode == 0, output[-3000:]
    assert f'{bad} cannot be read and its windows are drawn again: permission denied' in output
    assert ran.stdout.split()[-1] == str(PAIRS - 1)


def as_complex(pixels):
    return pixels.astype(np.complex64)


REFUSED = {
    'two bands of three': ('rgb', lambda p: rewrite(p, lambda x: x[:2]), r'bands \[1, 2, 3\].*2 b'),
    'complex': ('dsm', lambda p: rewrite(p, as_complex, nodata=None), r'real type.*complex64'),
    'complex integers': (
        'dsm',
        lambda p: rewrite(p, as_complex, nodata=None, dtype='complex_int16'),
        r'real type.*complex_int16',
    ),
    'shifted away': (
        'dsm',
        lambda p: rewrite(p, transform=Affine(1, 0, 900_000, 0, -1, 4_000_000)),
        r'overlaps its reference .*found bounds \(900000',
    ),
    'another CRS': (
        'dsm',
        lambda p: rewrite(p, crs='EPSG:32633'),
        r'CRS of its reference .*EPSG:32632, found EPSG:32633',
    ),
    'no CRS': ('dsm', lambda p: rewrite(p, crs=None), 'EPSG:32632, found no CRS'),
    'turned': (
        'dsm',
        lambda p: rewrite(p, transform=Affine.translation(500_500, 4e6) * Affine.rotation(10)),
        'parallel',
    ),
}


@pytest.mark.parametrize('fault', REFUSED)
def test_what_does_not_fit_stops_at_the_start(pairs, fault):
    modality, damage, message = REFUSED[fault]
    bad = pairs[5][modality]
    damage(bad)
    with pytest.raises(ValueError, match=message) as caught:
        make(pairs)
    assert bad in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('scale', [0.0, np.nan, np.inf])
def test_a_scale_that_is_no_number_stops_at_the_start(pairs, scale):
    with rasterio.open(pairs[5]['dsm'], 'r+') as raster:
        raster.scales = (scale,)
    with pytest.raises(ValueError, match='expected finite scales other than 0') as caught:
        make(pairs)
    assert pairs[5]['dsm'] in str(caught.value)


def test_another_type_is_named(pairs, tmp_path):
    rewrite(pairs[5]['rgb'], lambda x: (x / 255).astype(np.float32))
    dataset = train_on(pairs, tmp_path)
    named = [line for line in logged(tmp_path) if 'expected files of one type' in line]
    assert len(named) == 1
    assert 'uint8 in 11' in named[0] and f'float32 in 1 ({pairs[5]["rgb"]})' in named[0]
    assert dataset.dtypes['rgb'] == 'float32'


def poison(value: float) -> Callable:
    """Half of the pixels in stripes, the last one alone in its patch."""

    def change(pixels):
        pixels = pixels.copy()
        pixels[:, ::2, : SIDE // 2] = value
        pixels[:, -1, -1] = value
        return pixels

    return change


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, 3.4e38, -3.4028235e38, 1e38, 1e20])
def test_no_measurement_is_invalid_and_reaches_no_weight(pairs, tmp_path, value):
    for pair in pairs:
        rewrite(pair['dsm'], poison(value), nodata=None)
    window = make(pairs).read_window(0)
    expected = np.ones((SIDE, SIDE), bool)
    expected[::2, : SIDE // 2] = expected[-1, -1] = False
    np.testing.assert_array_equal(window['valid']['dsm'], expected)
    assert (window['images']['dsm'][0, ~expected] == 0).all()
    train_on(pairs, tmp_path)


def test_a_double_too_large_for_a_float_is_invalid(pairs):
    rewrite(pairs[0]['dsm'], lambda x: poison(1e300)(x.astype(np.float64)), nodata=None)
    window = make(pairs).read_window(0)
    assert window['images']['dsm'].dtype == np.float32
    assert not window['valid']['dsm'][0, 0] and np.isfinite(window['images']['dsm']).all()


def test_a_scale_that_lifts_values_beyond_all_bounds_makes_them_invalid(pairs):
    with rasterio.open(pairs[0]['dsm'], 'r+') as raster:
        raster.scales = (1e37,)  # times 100 m and more
    dataset = make(pairs, windows=dict(judge_by='any'))
    assert not dataset.read_window(0)['valid']['dsm'].any()
    assert dataset.read_window(1)['valid']['dsm'].any()


@pytest.mark.parametrize('value', [1e14, -1e9, 1e-40])
def test_damaged_numbers_within_bounds_reach_no_weight_as_nan(pairs, tmp_path, value):
    """Nothing tells them from measurements; they must not overflow, in squares or inverses."""
    for pair in pairs:
        rewrite(pair['dsm'], lambda x: poison(value)(x if value > 1 else x * 0), nodata=None)
    window = make(pairs).read_window(0)
    damaged = window['images']['dsm'] == np.float32(value)
    assert damaged[0, ::2, : SIDE // 2].all() and window['valid']['dsm'].all()
    runner = trained_on(pairs, tmp_path, epochs=2)
    assert non_finite(runner.model, runner.optim_wrapper.optimizer) == []
    assert runner.epoch == 2 and len(runner.train_dataloader.dataset.scenes) == PAIRS


def test_all_nodata_is_left_out_and_named(pairs, tmp_path):
    for i in (2, 7):
        rewrite(pairs[i]['rgb'], lambda x: x * 0, nodata=0)
    dataset = train_on(pairs, tmp_path)
    assert len(dataset.scenes) == PAIRS - 2
    named = [line for line in logged(tmp_path) if 'left out' in line]
    assert len(named) == 1 and '2 of 12 scene(s) left out' in named[0]
    assert pairs[2]['rgb'] in named[0] and pairs[7]['rgb'] in named[0]


def test_only_nodata_is_one_error(pairs):
    for pair in pairs:
        rewrite(pair['rgb'], lambda x: x * 0, nodata=0)
    with pytest.raises(
        ValueError, match=r'expected a window .*found none in 12 scene\(s\)'
    ) as caught:
        make(pairs)
    assert pairs[0]['rgb'] in str(caught.value)


def test_heights_all_nodata_leave_a_sample_of_one_modality(pairs, tmp_path):
    for pair in pairs:
        rewrite(pair['dsm'], lambda x: x * 0 - 9999)
    assert not make(pairs).read_window(0)['valid']['dsm'].any()
    train_on(pairs, tmp_path)


@pytest.mark.parametrize('workers', [0, 2])
def test_vanishing_during_training(pairs, tmp_path, workers):
    """After two epochs three files are gone; few handles, so that files are opened again."""
    config = tiny_pretraining(
        pairs,
        str(tmp_path / 'run'),
        batch_size=4,
        epochs=6,
        workers=workers,
        reading=dict(max_open_files=2, max_failed_share=0.4),
    )
    config.custom_hooks.append(dict(type='Vanish', files=[pairs[i]['rgb'] for i in (1, 4, 8)]))
    with vanishing():
        runner = train(config)
    assert runner.iter == 6 * PAIRS // 4
    failures = runner.train_dataloader.dataset._failures
    assert failures.failed == [pairs[i]['rgb'] for i in (1, 4, 8)]
    assert failures.reads['failed'] >= 3
    text = '\n'.join(logged(tmp_path))
    for path in failures.failed:
        assert text.count(f'{path} cannot be read') == 1
        assert 'drawn again: no such file' in text


class vanishing:
    """Register a hook that deletes files after two epochs."""

    def __enter__(self) -> None:
        from mmengine.hooks import Hook
        from mmengine.registry import HOOKS

        @HOOKS.register_module(name='Vanish', force=True)
        class Vanish(Hook):
            def __init__(self, files):
                self.files = files

            def after_train_epoch(self, runner):
                if runner.epoch == 1:
                    for path in self.files:
                        os.unlink(path)

    def __exit__(self, *_: object) -> None:
        from mmengine.registry import HOOKS

        HOOKS.module_dict.pop('Vanish')


@pytest.mark.parametrize('workers', [0, 2])
def test_the_command_says_in_one_line_that_all_files_are_gone(pairs, tmp_path, workers):
    config = tiny_pretraining(
        pairs,
        str(tmp_path / 'run'),
        batch_size=4,
        epochs=50,
        workers=workers,
        reading=dict(max_open_files=2),
    )
    path = tmp_path / 'config.py'
    config.dump(path)
    code = (
        'import os, runpy, sys\n'
        'from mmengine.hooks import LoggerHook\n'
        'files = sys.argv.pop().split(os.pathsep)\n'
        'def vanish(self, runner):\n'
        '    for path in files:\n'
        '        if os.path.exists(path): os.unlink(path)\n'
        'LoggerHook.after_train_epoch = vanish\n'
        'sys.argv = sys.argv[1:]\n'
        'runpy.run_path(sys.argv[0], run_name="__main__")\n'
    )
    root = Path(__file__).resolve().parents[2]
    files = os.pathsep.join(pair['rgb'] for pair in pairs)
    ran = subprocess.run(
        [sys.executable, '-c', code, str(root / 'tools/train.py'), str(path), files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS='1'),
    )
    last = (ran.stdout + ran.stderr).strip().splitlines()
    assert ran.returncode == 2, '\n'.join(last[-30:])
    assert 'Traceback' not in ran.stdout + ran.stderr
    line = next(line for line in reversed(last) if line.startswith('train.py: '))
    assert re.match(r'train.py: \d+ of 24 files failed \(.*expected at most max_failed_sh', line)
    assert pairs[0]['rgb'].rpartition('/')[0] in line


def change_bands(pixels):
    return pixels[:1]


def change_size(pixels):
    return pixels[:, :40, :40]


def change_type(pixels):
    return pixels.astype(np.float32)


@pytest.mark.parametrize('change', [change_bands, change_size, change_type])
def test_a_file_written_again_with_another_content_is_named(pairs, log, change):
    dataset = make(pairs, reading=dict(max_open_files=1))
    bad = pairs[5]['rgb']
    rewrite(bad, change)
    samples = [dataset[SampleIndex(i, 0)] for i in range(PAIRS)]
    assert all(sample['data_samples'].scene != 's05' for sample in samples)
    named = [line for line in log if bad in line]
    assert len(named) == 1
    assert 'changed since it was indexed: expected 3 band(s) of 64 x 64 pixels of' in named[0]


class Flaky:
    """A raster whose reads fail now and then, as seeded."""

    def __init__(self, raster, rng: np.random.Generator, share: float, counts: list[int]) -> None:
        self._raster, self._rng, self._share, self._counts = raster, rng, share, counts

    def __getattr__(self, name):
        return getattr(self._raster, name)

    def read(self, *args, **kwargs):
        self._counts[0] += 1
        if self._rng.random() < self._share:
            self._counts[1] += 1
            raise RasterioIOError('CURL error: Connection reset by peer')
        return self._raster.read(*args, **kwargs)


@pytest.fixture
def flaky(monkeypatch) -> Callable[[float], list[int]]:
    """Let a share of reads fail from now on; returns counts of reads and of failures."""

    def start(share: float) -> list[int]:
        rng, counts = np.random.default_rng(0), [0, 0]
        opened = raster_pool.open_raster
        monkeypatch.setattr(
            raster_pool, 'open_raster', lambda path: Flaky(opened(path), rng, share, counts)
        )
        return counts

    return start


def test_reads_that_fail_now_and_then_change_nothing(pairs, log, flaky):
    """A fifth of the reads fail; five attempts leave one in three thousand."""
    expected = [make(pairs)[SampleIndex(i, 0)] for i in range(PAIRS)]
    counts = flaky(0.2)
    dataset = make(pairs, reading=dict(attempts=5))
    found = [dataset[SampleIndex(i, 0)] for _ in range(5) for i in range(PAIRS)]
    for one, other in zip(found, expected * 5, strict=True):
        for modality in MODALITIES:
            assert torch.equal(one['inputs'][modality], other['inputs'][modality])
    assert counts[1] > 20 and dataset._failures.failed == []
    assert dataset._failures.reads['recovered'] > 20
    named = [line for line in log if 'was read at attempt' in line]
    assert 0 < len(named) == len({line.split()[0] for line in named}) <= 2 * PAIRS
    assert all('Connection reset by peer' in line for line in named)


def test_training_goes_on_over_reads_that_fail_now_and_then(pairs, tmp_path, flaky):
    flaky(0.2)
    dataset = train_on(pairs, tmp_path, epochs=3, workers=2, reading=dict(attempts=5))
    assert dataset._failures.reads['recovered'] > 5  # counted in the workers


def test_attempts_wait_longer_each_time_and_end(pairs, flaky, monkeypatch):
    waits = []
    monkeypatch.setattr('mssdf.rasters.retries.time.sleep', waits.append)
    dataset = make(pairs, reading=dict(attempts=4, retry_seconds=0.25, max_failed_share=1.0))
    counts = flaky(1.0)
    dataset._reader.close()
    for _ in range(3):
        assert dataset.read_window(0) is None
    # The naming of a file takes 0.01 s. A file that has failed for good is tried once.
    assert [wait for wait in waits if wait != 0.01] == [0.25, 0.5, 1.0]
    assert counts == [6, 6]
    with pytest.raises(RuntimeError, match=r'sample in 1000 draws, found none: \d+ reads failed'):
        dataset[SampleIndex(0, 0)]
    assert len([wait for wait in waits if wait > 0.01]) == 3 * PAIRS


def test_lasting_faults_are_not_waited_for(pairs, monkeypatch):
    """A missing or empty file, and what is no raster, stays so."""
    for damage, pair in zip((os.unlink, empty, no_raster), pairs, strict=False):
        damage(pair['rgb'])
    waits = []
    monkeypatch.setattr('mssdf.rasters.retries.time.sleep', waits.append)
    make(pairs, reading=dict(max_failed_share=0.5, retry_seconds=30.0))
    assert [wait for wait in waits if wait > 0.01] == []


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(reading=dict(attempts=0)), 'reading.attempts: expected 1 to 10, found 0'),
        (dict(reading=dict(attempts=100)), 'reading.attempts: expected 1 to 10, found 100'),
        (dict(reading=dict(retry_seconds=-1)), 'reading.retry_seconds: expected 0 to 60, found -1'),
    ],
)
def test_wrong_retries_are_named(pairs, options, message):
    with pytest.raises(ValueError, match=message):
        make(pairs, **options)


class FlakyServer(http.server.SimpleHTTPRequestHandler):
    """Serves a folder by byte ranges; a share of the answers is an error or a closed connection."""

    rng = np.random.default_rng(0)
    share = 0.0
    failures = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        draw = type(self).rng.random()
        if self.command == 'GET' and draw < self.share:
            type(self).failures += 1
            if draw < self.share / 2:
                self.send_error(503)
            else:
                self.close_connection = True  # without a word
            return
        content = path.read_bytes()
        asked = re.match(r'bytes=(\d+)-(\d*)', self.headers.get('Range', ''))
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            self.send_response(206)
            self.send_header('Content-Range', f'bytes {first}-{last}/{len(content)}')
            content = content[first : last + 1]
        else:
            self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.send_header('Accept-Ranges', 'bytes')
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    do_HEAD = do_GET


def test_a_server_that_fails_now_and_then(pairs, tmp_path):
    """GDAL over a real connection, in a process of its own, whose GDAL reads the environment."""
    folder = tmp_path / 'served'
    folder.mkdir()
    for pair in pairs:
        for modality in MODALITIES:
            shutil.copy(pair[modality], folder)
    handler = functools.partial(FlakyServer, directory=str(folder))
    FlakyServer.share, FlakyServer.failures = 0.4, 0
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f'/vsicurl/http://127.0.0.1:{server.server_address[1]}'
        remote = [
            dict(name=p['name'], **{m: f'{base}/{Path(p[m]).name}' for m in MODALITIES})
            for p in pairs
        ]
        code = (
            'import json, sys\n'
            f'sys.path[:0] = {FOLDERS!r}\n'
            'import numpy as np, test_raster_faults as faults\n'
            'remote, local = json.loads(sys.argv[1])\n'
            'one = faults.make(remote, reading=dict(attempts=8, retry_seconds=0.05))\n'
            'two = faults.make(local)\n'
            'assert len(one) == len(two)\n'
            'for i in range(len(one)):\n'
            '    a, b = one.read_window(i), two.read_window(i)\n'
            '    for m in faults.MODALITIES:\n'
            '        assert np.array_equal(a["images"][m], b["images"][m])\n'
            'print("same", one._failures.failed)\n'
        )
        try:
            ran = subprocess.run(
                [sys.executable, '-c', code, json.dumps([remote, pairs])],
                capture_output=True,
                text=True,
                timeout=300,
                env=dict(
                    os.environ,
                    GDAL_HTTP_RETRY_DELAY='0.05',
                    GDAL_HTTP_MAX_RETRY='3',
                    no_proxy='127.0.0.1',
                ),
            )
        finally:
            server.shutdown()
    assert 'same []' in ran.stdout, ran.stdout[-2000:] + ran.stderr[-3000:]
    assert FlakyServer.failures > 5


def test_a_damaged_index_is_rebuilt(pairs, tmp_path):
    cache = tmp_path / 'cache'
    make(pairs, index=dict(cache_dir=str(cache)))
    (path,) = cache.iterdir()
    entries = json.loads(path.read_text())
    for number, entry in enumerate(entries.values()):
        if number == 0:
            del entry['positions']
        if number == 1:
            entry['positions']['data'] = 'x'
        if number == 2:
            entry['sources'] = 7
    path.write_text(json.dumps(entries))
    assert len(make(pairs, index=dict(cache_dir=str(cache)))) == PAIRS
    path.write_text('[]')
    assert len(make(pairs, index=dict(cache_dir=str(cache)))) == PAIRS


def test_a_failed_read_leaves_no_handle(pairs):
    pool = RasterPool(4)
    for pair in pairs:
        truncate(pair['rgb'])
    dataset = make(
        [dict(pair) for pair in pairs],
        reading=dict(max_failed_share=1.0, max_open_files=4),
        windows=dict(reference='dsm'),
    )
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(3):
        for i in range(len(dataset)):
            dataset.read_window(i)
    assert len(os.listdir('/proc/self/fd')) <= before + 4
    assert len(pool) == 0


def test_files_that_fail_at_the_start_are_no_failed_reads(pairs):
    """Many files, of which an allowed share cannot be opened, and as many reads soon after."""
    many = [dict(pairs[i % PAIRS], name=str(i)) for i in range(200)]
    many += [dict(rgb=f'{pairs[0]["rgb"]}-{i}', dsm=pairs[0]['dsm']) for i in range(60)]
    dataset = make(many, reading=dict(max_failed_share=0.9))
    dataset._failures.max_failed_share = 0.01
    dataset._failures._namer.zero_()  # only the reads are judged
    for i in range(len(dataset)):
        assert dataset.read_window(i) is not None
    assert dataset._failures.reads == dict(all=400, failed=0, recovered=0)
    dataset._failures.check()
