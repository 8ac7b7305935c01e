import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpretrain.models import VisionTransformer

from mssdf.checkpoints.strict_load import load_pretrained, read_checkpoint
from mssdf.cli.folder_lock import lock_folder
from mssdf.contest.standings import measure_groups
from mssdf.evaluation.frozen import (
    EncoderFile,
    Measure,
    MeasurementSettings,
    evaluate_encoders,
    load_table,
    paired_differences,
)

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
    f'ours={OURS}:{TINY},default_hooks.schedules.losses.rec=None',
]


def command(out: Path, budget: str = '36w', entries: list[str] = ENTRIES) -> list[str]:
    common = ['--out', str(out), '--budget', budget, '--img-size', '64', '--batch-size', '8']
    data = ['--data', str(ROOT / 'tests' / 'data' / 'autzen'), '--device', 'cpu']
    return [*entries, *common, *data]


def call(out: Path, *options: str, budget: str = '36w', entries: list[str] = ENTRIES) -> int:
    return benchmark_recipes.main([*command(out, budget, entries), *options])


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
    assert {'align', 'pix', 'rank_student', 'position_student'} <= set(rows['ours0']['monitor'])
    with open(contest / 'runs.csv') as file:
        table = list(csv.DictReader(file))
    assert [row['checkpoint'] for row in table][1] == 'ours_seed0.pth'
    assert float(table[1]['last.pix']) == rows['ours0']['monitor']['pix']


def test_checkpoints_fill_a_plain_vit(contest):
    vit = VisionTransformer(arch=ARCH, img_size=64, patch_size=16)
    tiles = np.load(contest / 'tiles.npz')
    known = np.unpackbits(tiles['valid_rgb'], axis=-1).astype(bool)
    means = [tiles['images_rgb'][:, band : band + 1][known].mean() for band in range(3)]
    for name in ('mae_seed0', 'ours_seed0'):
        path = contest / f'{name}.pth'
        assert load_pretrained(vit, path).complete
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


def test_a_torn_record_is_named(contest, capsys):
    path = contest / 'runs' / 'mae_seed0.json'
    whole = path.read_text()
    try:
        path.write_text(whole[:50])
        assert call(contest, '--lr', '1e-3') == 2
    finally:
        path.write_text(whole)
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert 'mae_seed0.json: expected the record of a training as JSON' in error


def test_two_calls_do_not_write_to_one_folder(tmp_path, capsys):
    with lock_folder(tmp_path):
        assert call(tmp_path) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(f'--out .*expected a folder .* in use by process {os.getpid()}', error)
    assert not (tmp_path / 'tiles.npz').exists()


def children_of(pid: int) -> list[int]:
    """Processes that multiprocessing has spawned from one."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            parent = int((folder / 'stat').read_text().rpartition(')')[2].split()[1])
            if parent == pid and b'spawn_main' in (folder / 'cmdline').read_bytes():
                found.append(int(folder.name))
        except OSError:
            pass
    return found


def test_sigterm_ends_all_trainings_in_seconds(tmp_path):
    arguments = [*command(tmp_path / 'out', budget='36000s'), '--jobs', '2']
    with open(tmp_path / 'log.txt', 'w') as log:
        parent = subprocess.Popen([sys.executable, str(PATH), *arguments], stdout=log, stderr=log)
    workers: list[int] = []
    try:
        end = time.monotonic() + 300
        while len(workers) < 2 and time.monotonic() < end and parent.poll() is None:
            time.sleep(0.1)
            workers = children_of(parent.pid)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(timeout=60) == 143
    finally:
        parent.kill()
        parent.wait()
    assert len(workers) == 2 and not [pid for pid in workers if Path(f'/proc/{pid}').exists()]
    lines = (tmp_path / 'log.txt').read_text().splitlines()
    assert lines[-1] == 'stopped; the same command goes on with what is missing'


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
        ('nowhere.py', 'nowhere.py: expected a config, found none'),
        (f'a={OURS}:model.losses.align=-1', 'losses: expected finite weights of at least 0'),
        (f'a={MAE}:arch=vit-9', "arch: expected one of .* found 'vit-9'"),
        (f'a={MAE}:batch_size=0', 'a: batch_size: expected an integer of at least 1, found 0'),
        (f'a={MAE}:lr=fast', "a: lr: expected a number above 0, found 'fast'"),
        (f'a={MAE}:scale=1', 'a: scale: expected two numbers, found 1'),
    ],
)
def test_wrong_entries_are_one_line(entry, message, tmp_path, capsys):
    assert call(tmp_path, entries=[entry]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and re.search(message, error)


@pytest.fixture(scope='module')
def sets(tmp_path_factory) -> list[str]:
    """Thirty scenes of EuroSAT, and a few windows with heights."""
    folder = tmp_path_factory.mktemp('sets') / 'scenes'
    for name in ('Forest', 'Highway', 'Residential'):
        (folder / name).mkdir(parents=True)
        for path in sorted((ROOT / 'tests/data/eurosat_rgb' / name).glob('*.*'))[:10]:
            shutil.copy(path, folder / name)
    heights = ROOT / 'tests' / 'data' / 'autzen'
    return [f'scenes=scenes:{folder}', f'ground=height:{heights},limit=16']


@pytest.fixture(scope='module')
def scored(contest, sets) -> Path:
    """The contest, all of its trainings done before, scored by two processes."""
    options = ('--seeds', '0', '1', '--lr', '1e-3', '--no-conv', '--jobs', '2', '--sets', *sets)
    assert call(contest, *options) == 0
    return contest


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    with open(out / 'contest.csv') as file:
        return {row['name']: row for row in csv.DictReader(file)}


def test_scores_are_those_of_the_evaluation(scored, sets, tmp_path):
    encoders = dict(ours=[EncoderFile(scored / f'ours_seed{seed}.pth') for seed in (0, 1)])
    settings = MeasurementSettings(img_size=64, conv=False)
    table = evaluate_encoders(encoders, sets, tmp_path, settings, baselines=False)
    rows = rows_of(scored)
    assert list(rows) == ['mae', 'ours', 'untrained', 'image statistics', 'random convolutions']
    assert {one.input for one in table.measures() if one.set == 'ground'} == {'rgb'}
    for measure in table.measures():
        interval = table.score('ours', measure)
        written = [float(rows['ours'][f'{measure}{end}']) for end in ('', ' low', ' high')]
        np.testing.assert_allclose(written, [interval.value, interval.low, interval.high])


def test_differences_are_paired_and_marked_beyond_zero(scored):
    table, rows = load_table(scored / 'scores'), rows_of(scored)
    text = (scored / 'contest.md').read_text()
    for name in ('ours', 'untrained', 'image statistics'):
        found = paired_differences(table, name, 'mae')
        assert len(found) > 5
        for measure, interval in found.items():
            cells = [rows[name][f'{measure} difference{end}'] for end in ('', ' low', ' high')]
            np.testing.assert_allclose(
                [float(cell) for cell in cells], list(vars(interval).values())
            )
            beyond = not interval.low <= 0 <= interval.high
            assert rows[name][f'{measure} beyond zero'] == str(beyond)
            digits = 2 if measure.measure == 'RMSE' else 3
            cell = f'{interval.value:+.{digits}f} [{interval.low:+.{digits}f}, '
            assert (f'**{cell}' if beyond else f'| {cell}') in text
    assert rows['mae']['seeds'] == '2' and rows['image statistics']['seeds'] == ''


def test_difference_of_means_over_seeds_by_numpy(scored):
    """The share of right answers, from the sums on disk."""
    records = json.loads((scored / 'scores' / 'table.json').read_text())['rows']
    shares: dict[str, list[float]] = {}
    for record in records:
        if (record['set'], record['probe'], record['pool']) != ('scenes', 'kNN-5', 'cls'):
            continue
        unit = json.loads((scored / f'scores/units/{record["unit"]}.json').read_text())
        key = [
            one['array']
            for one in unit['results']
            if (one['probe'], one['pool'], one['input']) == ('kNN-5', 'cls', 'rgb')
        ]
        sums = np.load(scored / f'scores/units/{record["unit"]}.npz')[key[0]]
        shares.setdefault(record['name'], []).append(sums[:, 0].sum() / sums[:, 1].sum())
    assert {name: len(values) for name, values in shares.items()}.items() >= dict(
        mae=2, ours=2
    ).items()
    expected = np.mean(shares['ours']) - np.mean(shares['mae'])
    found = float(rows_of(scored)['ours']['scenes kNN-5 cls accuracy difference'])
    assert found == pytest.approx(expected)


def test_the_table_says_what_was_trained_and_how(scored):
    text, runs = (scored / 'contest.md').read_text(), records(scored)
    mean = np.mean([runs[f'ours{seed}']['monitor']['rank_student'] for seed in (0, 1)])
    row = rows_of(scored)['ours']
    assert float(row['rank_student']) == pytest.approx(mean)
    assert float(row['windows']) == 40
    lines = [line for line in text.splitlines() if line.startswith('| ours')]
    assert f' {mean:.3g} ' in lines[0]
    for part in ('Command: `', 'Machine: ', 'torch: ', 'Threads: 1', 'Budget of a training: 36 w'):
        assert part in text
    assert re.search(r'Data: \d+ tiles of 256 x 256 pixels', text)
    assert 'Set ground: height, 16 images' in text and 'Set scenes: scenes, 30 images' in text


def test_what_an_interrupted_process_measured_is_kept(scored, sets, capsys):
    units, part = scored / 'scores' / 'units', scored / 'scores' / 'parts' / '1' / 'units'
    part.mkdir(parents=True)
    first, *others = sorted(units.glob('*.json'))
    for path in others:
        for file in (path, path.with_suffix('.npz')):
            file.rename(part / file.name)
    (part / first.name).write_text('{"cut')  # a copy that was cut off
    before = rows_of(scored)
    options = ('--seeds', '0', '1', '--lr', '1e-3', '--no-conv', '--sets', *sets)
    assert call(scored, *options, '--against', 'untrained') == 0
    assert f'0 of {len(others) + 1} measurements to do' in capsys.readouterr().out
    after = rows_of(scored)
    assert 'difference' not in ''.join(key for key, value in after['untrained'].items() if value)
    assert after['mae']['scenes kNN-5 mean accuracy'] == before['mae']['scenes kNN-5 mean accuracy']
    assert not part.exists()


def test_groups_have_few_columns_and_lose_no_measure():
    every = [
        Measure('a', given, probe, pool, share, 'accuracy')
        for given in ('rgb', 'rgb+dsm')
        for pool in ('cls', 'mean')
        for probe, share in (('kNN-20', 100), ('kNN-5', 100), *(('linear', s) for s in range(6)))
    ]
    groups = list(measure_groups(every))
    assert sorted(one for _, members in groups for one in members) == sorted(every)
    assert max(len(members) for _, members in groups) <= 4
    for heading, members in groups:
        assert {(one.set, one.input) for one in members} == {
            tuple(heading.split(':')[0].split(', '))
        }
        assert heading.startswith('a, ')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--suite', 'small', '--against', 'nobody'], "--against: expected .* found 'nobody'"),
        (['--sets', 'x=scenes:nowhere'], "set 'x': nowhere: expected a folder, found none"),
        (['--sets', 'x=unknown:nowhere'], 'kind: expected one of .* found unknown'),
        (['--sets', f'x=scenes:{ROOT / "configs"}'], "set 'x': .*expected at least two classes"),
        (['--seeds', '0', '1', '0'], r'--seeds: expected different numbers .* found \[0, 1, 0\]'),
        (['--jobs', '0'], '--jobs: expected an integer of at least 1, found 0'),
        (['--threads', '0'], '--threads: expected an integer of at least 1, found 0'),
        (['--device', 'nope'], "--device: expected a device .* found 'nope'"),
        (['--device', 'cuda:99'], "--device: expected a device .* found 'cuda:99'"),
        (['--warm-up', '2'], '--warm-up: expected a number of at least 0 and at most 1, found 2'),
        (['--warm-up', '-1'], '--warm-up: expected .* found -1'),
        (['--lr', '0'], '--lr: expected a number above 0, found 0'),
        (['--lr', 'nan'], '--lr: expected a number above 0, found nan'),
        (['--batch-size', '0'], '--batch-size: expected an integer of at least 1, found 0'),
        (['--img-size', '320'], r'--img-size: expected .* 256 \(--tile-size\), found 320'),
    ],
)
def test_wrong_scorings_are_one_line_before_any_training(options, message, tmp_path, capsys):
    assert call(tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and re.search(message, error)
    assert not (tmp_path / 'tiles.npz').exists()
