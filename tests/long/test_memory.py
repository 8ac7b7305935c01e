"""Pre-training for an hour: memory stays flat and open files bounded."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
from process_memory import draw, growth, watch
from rasterio.windows import Window

ROOT = Path(__file__).resolve().parents[2]
TILE = 256
MAX_OPEN = 8

# Everything that runs for days in a real job: two workers that live as long as the run, fewer open
# files than there are rasters, checkpoints, pictures, and an evaluation now and then, often enough
# that the first third of a run of minutes, which is not judged, sees several of each: the first
# half dozen take memory that is then used again.
CONFIG = """
_base_ = ['{root}/configs/pretrain/mssdf_vit-t-p16_quick-start.py']
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=96, num_layers=4, num_heads=3, feedforward_channels=384),
        img_size=64),
    teacher=dict(average_layers=2),
    monitor_interval=20,
)
train_dataloader = dict(
    batch_size=8, num_workers=2,
    dataset=dict(
        data_root='{data}', index=dict(cache_dir=''), reading=dict(max_open_files={max_open}),
        windows=dict(size=96, per_epoch=80),
        pipeline=[
            dict(type='mssdf.MultiModalRandomResizedCrop', size=64, scale=(0.3, 1.0)),
            dict(type='mssdf.MultiModalRandomFlip'),
            dict(type='mssdf.MultiModalRandomRotate90'),
            dict(type='mssdf.MultiModalColorJitter'),
            dict(type='mssdf.PackMultiModalInputs'),
        ]))
param_scheduler = []
train_cfg = dict(max_epochs=1000000)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=5), panel=dict(interval=2),
    knn=dict(images='{root}/tests/data/eurosat_rgb', interval=2))
log_processor = dict(window_size=20)
"""


def cut_tiles(folder: Path) -> int:
    """Autzen as many pairs of small files; returns how many files."""
    (folder / 'patch').mkdir(parents=True)
    count = 0
    for kind in ('dom', 'dsm'):
        with rasterio.open(ROOT / f'tests/data/autzen/patch/autzen_{kind}.tif') as raster:
            rows, cols = (range(0, size - TILE + 1, TILE) for size in raster.shape)
            for row, col in itertools.product(rows, cols):
                window = Window(col, row, TILE, TILE)
                profile = dict(
                    raster.profile,
                    width=TILE,
                    height=TILE,
                    transform=raster.window_transform(window),
                    blockxsize=128,
                    blockysize=128,
                )
                with rasterio.open(
                    folder / f'patch/{row}_{col}_{kind}.tif', 'w', **profile
                ) as tile:
                    tile.write(raster.read(window=window))
                count += 1
    return count


@pytest.fixture
def training(tmp_path: Path, long_out: Path) -> Iterator[subprocess.Popen]:
    """A pre-training by the command line that would never end."""
    assert cut_tiles(tmp_path / 'tiles') > 4 * MAX_OPEN
    config = tmp_path / 'memory.py'
    config.write_text(CONFIG.format(root=ROOT, data=tmp_path / 'tiles', max_open=MAX_OPEN))
    with open(long_out / 'memory.log', 'w') as log:
        process = subprocess.Popen(
            [sys.executable, 'tools/train.py', str(config), '--work-dir', str(tmp_path / 'run')],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, OMP_NUM_THREADS='1', MPLBACKEND='Agg', PYTHONPATH=str(ROOT)),
            start_new_session=True,
        )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def test_memory_is_flat_and_open_files_are_bounded(
    training: subprocess.Popen, long_out: Path
) -> None:
    seconds = float(os.environ.get('MSSDF_LONG_SECONDS', 3600))
    # Below five minutes a run is all warm-up; a look costs some ms.
    every = min(10.0, seconds / 60)
    samples = watch(
        training.pid, seconds, long_out / 'memory.csv', every, lambda: training.poll() is None
    )
    draw(samples, long_out / 'memory.png', seconds / 3)
    log = (long_out / 'memory.log').read_text()
    assert training.poll() is None, f'training has ended by itself:\n{log[-3000:]}'
    training.send_signal(signal.SIGINT)
    assert training.wait(120) == 128 + signal.SIGINT, log[-3000:]

    judged = [sample for sample in samples if sample.seconds >= seconds / 3]
    assert len(judged) >= 30
    times = [sample.seconds for sample in judged]
    result = {
        name: growth(times, [getattr(sample, name) for sample in judged])
        # not pss_mib: it moves with whoever else on the machine has the same libraries loaded
        for name in ('main_mib', 'children_mib')
    }
    lines = [
        f'{name}: {g.median:.1f} MiB, {g.grown:+.2f} MiB in {times[-1] - times[0]:.0f} s '
        f'({g.per_hour:+.2f} MiB per hour), noise {g.noise:.2f}, allowed {g.allowed:.2f}'
        for name, g in result.items()
    ]
    lines += [
        f'{name}: at most {max(getattr(sample, name) for sample in judged)}'
        for name in ('children', 'main_files', 'child_files', 'child_rasters')
    ]
    (long_out / 'memory.txt').write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))
    assert all(g.flat for g in result.values()), '\n'.join(lines)

    # the third is Python's tracker of shared memory
    assert {sample.children for sample in judged} == {3}, 'the workers live as long as the run'
    assert 1 <= max(sample.child_rasters for sample in judged) <= MAX_OPEN
    for name in ('main_files', 'child_files'):
        handles = [getattr(sample, name) for sample in judged]
        # a checkpoint or a picture being written, a pipe to a worker
        assert max(handles) <= min(handles) + MAX_OPEN + 4, f'{name}: {handles}'
