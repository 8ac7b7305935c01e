import csv
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpretrain.models import VisionTransformer

from mssdf.utils.checkpoint import load_pretrained, read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / 'tools' / 'benchmarks' / 'benchmark_recipes.py'
spec = importlib.util.spec_from_file_location('benchmark_recipes', PATH)
benchmark_recipes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(benchmark_recipes)

MAE = ROOT / 'configs' / 'pretrain' / 'mae_vit-t-p16_quick-start.py'
OURS = ROOT / 'configs' / 'pretrain' / 'mssdf_vit-t-p16_quick-start.py'
ARCH = dict(embed_dims=48, num_layers=6, num_heads=3, feedforward_channels=96)
TINY = 'arch={"embed_dims":48,"num_layers":6,"num_heads":3,"feedforward_channels":96}'
ENTRIES = [
    f'mae={MAE}:{TINY},model.neck.type=mssdf.ZeroHeadMAEDecoder,model.neck.decoder_depth=1',
    f'ours={OURS}:{TINY},model.ramps.rec=None',
]


def call(out: Path, *options: str, budget: str = '36w', entries: list[str] = ENTRIES) -> int:
    common = ['--out', str(out), '--budget', budget, '--img-size', '64', '--batch-size', '8']
    data = ['--data', str(ROOT / 'tests' / 'data' / 'autzen'), '--device', 'cpu']
    return benchmark_recipes.main([*entries, *common, *data, *options])


@pytest.fixture(scope='module')
def contest(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('contest')
    assert call(out, '--seeds', '0', '1', '--lr', '1e-3') == 0
    return out


def records(out: Path) -> dict[str, dict]:
    lines = (out / 'runs.jsonl').read_text().splitlines()
    return {f'{row["name"]}{row["seed"]}': row for row in map(json.loads, lines)}


def test_all_recipes_get_the_same_windows_in_turns(contest):
    rows = records(contest)
    assert list(rows) == ['mae0', 'ours0', 'mae1', 'ours1']
    for row in rows.values():
        assert (row['windows'], row['iterations']) == (40, 5)  # whole batches
        assert row['seconds_of'] == 'processor time of the process' and row['lr'] == 1e-3
        assert sum(row['step_seconds'].values()) * 5 == pytest.approx(row['seconds'], rel=0.2)
        shares = [point['share'] for point in row['log']]
        np.testing.assert_allclose(shares, np.minimum(np.arange(1, 6) * 8 / 36, 1))
    assert {'rec', 'align', 'pix', 'momentum', 'rank_student'} <= set(rows['ours0']['monitor'])
    with open(contest / 'runs.csv') as file:
        table = list(csv.DictReader(file))
    assert [row['checkpoint'] for row in table][1] == 'ours_seed0.pth'
    assert float(table[1]['last.rec']) == rows['ours0']['monitor']['rec']


def test_checkpoints_fill_a_plain_vit(contest):
    vit = VisionTransformer(arch=ARCH, img_size=64, patch_size=16)
    tiles = np.load(contest / 'tiles.npz')
    known = np.unpackbits(tiles['valid_rgb'], axis=-1).astype(bool)
    means = [tiles['images_rgb'][:, band : band + 1][known].mean() for band in range(3)]
    for name in ('mae_seed0', 'ours_seed0'):
        path = contest / f'{name}.pth'
        assert load_pretrained(vit, path).whole
        checkpoint = read_checkpoint(path)
        state, text = checkpoint['state_dict'], checkpoint['meta']['cfg']
        np.testing.assert_allclose(state['data_preprocessor.mean_rgb'].flatten(), means, rtol=1e-5)
        assert 'train_dataloader' in text and 'randomness = dict(seed=0)' in text
    assert any(key.startswith('embedding.') for key in state)


def test_the_same_seed_trains_the_same_weights(contest, tmp_path):
    assert call(tmp_path, '--seeds', '1', '--lr', '1e-3') == 0
    for name in ('mae_seed1', 'ours_seed1'):
        first, second = (read_checkpoint(out / f'{name}.pth') for out in (contest, tmp_path))
        for key, value in first['state_dict'].items():
            assert torch.equal(value, second['state_dict'][key]), key
    other = read_checkpoint(contest / 'ours_seed0.pth')['state_dict']
    key = 'backbone.layers.0.attn.qkv.weight'
    assert not torch.equal(other[key], second['state_dict'][key])


def test_finished_trainings_are_skipped_and_missing_ones_made(contest, capsys):
    times = {path: path.stat().st_mtime_ns for path in contest.glob('*.pth')}
    lost = contest / 'runs' / 'mae_seed1.json'
    lost.unlink()
    assert call(contest, '--seeds', '0', '1', '--lr', '1e-3') == 0
    changed = [path.name for path, before in times.items() if path.stat().st_mtime_ns != before]
    assert changed == ['mae_seed1.pth'] and lost.is_file()
    assert '3 of 4 trainings are finished already' in capsys.readouterr().out


def test_a_training_under_other_conditions_does_not_stand_for_this_one(contest, capsys):
    assert call(contest, '--lr', '1e-3', budget='72w') == 2
    assert "budget '36 windows' then, '72 windows' now" in capsys.readouterr().err
    changed = [ENTRIES[0], ENTRIES[1] + ',model.losses.hsic=0']
    assert call(contest, '--lr', '1e-3', entries=changed) == 2
    assert 'ours_seed0.json: expected a training under the same' in capsys.readouterr().err


def test_a_budget_of_seconds_is_kept(tmp_path):
    assert call(tmp_path, budget='1.5s') == 0
    for row in records(tmp_path).values():
        step = row['seconds'] / row['iterations']
        assert 1.5 <= row['seconds'] < 1.5 + 3 * step
        assert row['windows'] == row['iterations'] * 8


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (f'a={MAE}:batchsize=3', "expected keys of the config .* found \\['batchsize'\\]"),
        ('nowhere.py', 'nowhere.py: no such config'),
        (f'a={OURS}:model.teacher.average_layers=99', 'average_layers must be within .* found 99'),
        (f'a={MAE}:arch=vit-9', "arch: expected one of .* found 'vit-9'"),
    ],
)
def test_wrong_entries_are_one_line(entry, message, tmp_path, capsys):
    assert call(tmp_path, entries=[entry]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and re.search(message, error)
