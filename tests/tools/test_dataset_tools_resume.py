"""The tools that lay data sets out, killed, repeated and called otherwise than before.

Imagery of tests/data; labels in the sets' colors are derived from it.
"""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from dataset_files import TOOLS, png, read, tool, write

from mssdf.datasets.tasks.classes import ISPRS_PALETTE

# runs a tool that dies, as if the power were cut, before the n-th file is in place
KILLED = """
import os, runpy, signal, sys
left, replace = [int(sys.argv[1])], os.replace
def torn(*paths):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*paths)
os.replace = torn
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.fixture
def vaihingen(tmp_path, data_root):
    """An area of Autzen in Vaihingen's names: images and labels are told apart by folder."""
    image = read(data_root / 'autzen/patch/autzen_dom.tif')[300:500, 700:950]
    heights = read(data_root / 'autzen/patch/autzen_dsm.tif')[300:500, 700:950, 0]
    raw = tmp_path / 'raw'
    labels = np.array(ISPRS_PALETTE, np.uint8)[1 + image.mean(axis=2).astype(int) * 6 // 256]
    for area in (1, 2):
        write(raw / f'top/top_mosaic_09cm_area{area}.tif', image)
        write(raw / f'labels/top_mosaic_09cm_area{area}.tif', labels)
        write(raw / f'dsm/dsm_09cm_matching_area{area}.tif', heights)
    return raw


def options(raw, out):
    return [
        'vaihingen',
        *('--images', str(raw / 'top'), '--labels', str(raw / 'labels')),
        *('--dsm', str(raw / 'dsm'), '--out', str(out), '--size', '128', '--workers', '0'),
    ]


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file() and not path.name.startswith('.')
    }


@pytest.mark.parametrize('moment', [5, 17])
def test_killed_and_repeated_gives_the_same_files(vaihingen, tmp_path, moment):
    out = tmp_path / 'killed'
    command = [sys.executable, '-c', KILLED, str(moment), str(TOOLS / 'prepare_isprs.py')]
    died = subprocess.run(command + options(vaihingen, out), capture_output=True, timeout=120)
    assert died.returncode == -signal.SIGKILL
    before = files(out)
    assert len(before) == moment - 1
    assert tool('prepare_isprs')(options(vaihingen, out)) == 0
    assert tool('prepare_isprs')(options(vaihingen, tmp_path / 'undisturbed')) == 0
    after = files(out)
    assert len(after) == 2 * 4 * 3 + 1 and after == files(tmp_path / 'undisturbed')
    assert before.items() <= after.items()


@pytest.mark.slow
def test_an_error_in_another_process_is_one_line_and_what_is_done_stays(vaihingen, tmp_path):
    out = tmp_path / 'out'
    path = vaihingen / 'labels/top_mosaic_09cm_area2.tif'
    labels = read(path)
    wrong = labels.copy()
    wrong[3, 4] = (1, 2, 3)
    write(path, wrong)
    command = [sys.executable, str(TOOLS / 'prepare_isprs.py'), *options(vaihingen, out)]
    command[-1] = '2'
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and 'Traceback' not in done.stderr
    line = done.stdout.strip().splitlines()[-1]
    assert line.startswith(f'prepare_isprs.py: {path}: expected the colors')
    assert 'found (1, 2, 3) at row 3, column 4 (1 such pixels' in line
    assert not list((out / 'img_dir').glob('val/*'))
    write(path, labels)
    assert tool('prepare_isprs')(options(vaihingen, out)) == 0
    assert len(list((out / 'img_dir/val').iterdir())) == 4


def test_other_settings_do_not_mix(vaihingen, tmp_path, capsys):
    out = tmp_path / 'out'
    without = [
        text for text in options(vaihingen, out) if text not in ('--dsm', f'{vaihingen}/dsm')
    ]
    assert tool('prepare_isprs')(without) == 0
    assert tool('prepare_isprs')(options(vaihingen, out)) == 0  # heights come beside
    before = files(out)
    for other, key in ((('--dsm-scale', '0.1'), 'dsm_scale'), (('--size', '100'), 'size')):
        assert tool('prepare_isprs')([*options(vaihingen, out), *other]) == 2
        assert f'expected {key} ' in capsys.readouterr().out
    assert files(out) == before
    scaled = [*options(vaihingen, tmp_path / 'scaled'), '--dsm-scale', '0.1']
    assert tool('prepare_isprs')(scaled) == 0
    name = 'dsm_dir/train/1_0_0_128_128.tif'
    meters = read(out / name)
    known = meters != -9999
    np.testing.assert_allclose(read(tmp_path / 'scaled' / name)[known], meters[known] / 10, 1e-6)


def test_settings_of_a_run_that_made_nothing_do_not_bind(vaihingen, tmp_path):
    path = vaihingen / 'labels/top_mosaic_09cm_area1.tif'
    labels = read(path)
    write(path, labels + np.uint8(1))
    assert tool('prepare_isprs')(options(vaihingen, tmp_path / 'out')) == 2
    write(path, labels)
    assert tool('prepare_isprs')([*options(vaihingen, tmp_path / 'out'), '--size', '100']) == 0


def test_one_of_two_kinds_of_heights_is_chosen_by_its_ending(vaihingen, tmp_path, capsys):
    for area in (1, 2):
        path = vaihingen / f'dsm/dsm_09cm_matching_area{area}.tif'
        heights = read(path)[..., 0]
        write(path.with_name(f'dsm_09cm_matching_area{area}_low.tif'), heights - 100)
    assert tool('prepare_isprs')(options(vaihingen, tmp_path / 'out')) == 2
    said = capsys.readouterr().out
    assert 'dsm_09cm_matching_area1.tif and dsm_09cm_matching_area1_low.tif of 1' in said
    chosen = [*options(vaihingen, tmp_path / 'out'), '--dsm-suffix', '_low.tif']
    assert tool('prepare_isprs')(chosen) == 0
    written = read(tmp_path / 'out/dsm_dir/train/1_122_72_250_200.tif')[..., 0]
    low = read(vaihingen / 'dsm/dsm_09cm_matching_area1_low.tif')[72:200, 122:250, 0]
    assert (written == low).all()


def test_an_area_is_never_in_two_splits(tmp_path, data_root, capsys):
    image = read(data_root / 'autzen/patch/autzen_dom.tif')[:200, :400]
    changes = (image[..., 0] > 200).astype(np.uint8)
    for name, raster in (('a', image), ('b', image), ('c', changes)):
        write(tmp_path / f'{name}.tif', raster)
    names = [str(tmp_path / f'{name}.tif') for name in 'abc']
    out = tmp_path / 'out'
    first = [*names, '--out', str(out), '--size', '100']
    assert tool('tile_change')(first) == 0
    before = files(out)
    for other in (('--val', '0.25'), ('--split', 'test'), ('--size', '50')):
        assert tool('tile_change')([*first, *other]) == 2
        assert 'as of the files that are there, found' in capsys.readouterr().out
    assert files(out) == before and not (out / 'val').exists()
    assert tool('tile_change')(first) == 0
    assert capsys.readouterr().out.endswith('there\n')
    assert tool('tile_change')([*first, '--split', 'test', '--name', 'other']) == 0
    write(tmp_path / 'b.tif', image.astype(np.uint16))
    assert tool('tile_change')([*first, '--name', 'third']) == 2
    assert 'b.tif: expected 3 bands of uint8, found 3 of uint16' in capsys.readouterr().out


def test_us3d_keeps_its_size_and_names_what_lacks(tmp_path, data_root, capsys):
    image = read(data_root / 'autzen/patch/autzen_dom.tif')[:100, 300:400]
    heights = read(data_root / 'autzen/patch/autzen_dsm.tif')[:100, 300:400, 0]
    raw, out = tmp_path / 'raw', tmp_path / 'out'
    for place in range(4):
        write(raw / f'JAX_{place:03d}_001_RGB.tif', image)
        write(raw / f'JAX_{place:03d}_001_AGL.tif', heights)
    first = [str(raw), '--out', str(out), '--size', '64', '--workers', '0']
    assert tool('prepare_us3d')(first) == 0
    before = files(out)
    assert tool('prepare_us3d')([*first, '--size', '50']) == 2
    assert 'expected size 64, as of the files that are there, found 50' in capsys.readouterr().out
    assert tool('prepare_us3d')([*first, '--seed', '3', '--val', '0.5']) == 2
    assert files(out) == before
    (raw / 'JAX_002_001_AGL.tif').unlink()
    assert tool('prepare_us3d')(first) == 2
    assert 'JAX_002_001_RGB.tif: expected JAX_002_001_AGL.tif' in capsys.readouterr().out


def test_the_seed_draws_the_fraction(tmp_path):
    rng = np.random.default_rng(0)
    drawn = []
    for index in range(60):
        labels = rng.choice(4, (16, 16), p=rng.dirichlet(np.ones(4) / 2)).astype(np.uint8)
        for root in ('a', 'b', 'c'):
            png(tmp_path / root / f'ann_dir/train/{index:02d}.png', labels)
    for root, seed in (('a', '0'), ('b', '0'), ('c', '1')):
        assert tool('draw_fraction')([str(tmp_path / root), '--seed', seed, '--workers', '0']) == 0
        drawn.append((tmp_path / root / 'splits/train_50.txt').read_text())
        record = json.loads((tmp_path / root / 'splits/train_50.json').read_text())
        assert record['seed'] == int(seed)
        assert all(0.45 < share < 0.55 for share in record['share_of_pixels'].values())
    assert drawn[0] == drawn[1] != drawn[2]
