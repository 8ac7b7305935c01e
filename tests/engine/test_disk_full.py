"""A real file system, a few megabytes large, that runs full while a checkpoint is written."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mssdf.engine.resume import find_resumable_checkpoint

TRAIN = Path(__file__).resolve().parents[2] / 'tools/train.py'


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own, of two and a half checkpoints."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'cannot mount a small file system: {done.stderr.strip()}')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


def run(config, *arguments, **options):
    command = [sys.executable, str(TRAIN), str(config), *arguments]
    environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(TRAIN.parents[1]))
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment, **options
    )


def test_a_full_disk_costs_no_checkpoint(tiny_config, small_disk, tmp_path):
    tiny_config.default_hooks.checkpoint.max_keep_ckpts = -1
    config = tmp_path / 'tiny.py'
    tiny_config.work_dir = str(small_disk / 'run')
    tiny_config.dump(config)
    full = run(config)
    assert full.returncode == 2, full.stdout + full.stderr
    line = full.stdout.strip().splitlines()[-1]
    assert 'that can be written, found No space left on device' in line and '.pth' in line
    assert 'Traceback' not in full.stdout + full.stderr
    kept = sorted(small_disk.glob('run/iter_*.pth'))
    assert kept, 'the disk was too small for a single checkpoint'
    assert not list(small_disk.rglob('*partial*'))
    for path in kept:  # whole
        assert torch.load(path, weights_only=False)['meta']['iter'] == int(path.stem[5:])
    newest = max(kept, key=lambda path: int(path.stem[5:]))
    assert find_resumable_checkpoint(small_disk / 'run') == str(newest)
    # with room again, the run goes on to its end
    grow = ['mount', '-o', 'remount,size=64m', str(small_disk)]
    subprocess.run(grow, check=True, capture_output=True)
    resumed = run(config, '--resume')
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert f'Resuming from {newest}' in resumed.stdout
    assert (small_disk / 'run/iter_18.pth').is_file()


def test_a_limit_of_file_sizes_is_told_in_one_line(tiny_config, tmp_path):
    """What the system refuses to write, and any user can have it refuse."""
    config = tmp_path / 'tiny.py'
    tiny_config.dump(config)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = run(config, preexec_fn=limit)
    assert done.returncode == 2, done.stdout + done.stderr
    assert 'that can be written, found File too large' in done.stdout.strip().splitlines()[-1]
    assert 'Traceback' not in done.stdout + done.stderr
    assert not list(tmp_path.rglob('*.pth')) and not list(tmp_path.rglob('*partial*'))
    again = run(config, '--resume')
    assert again.returncode == 0, again.stdout + again.stderr
