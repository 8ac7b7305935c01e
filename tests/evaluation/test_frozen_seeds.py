"""Rows that lack seeds: differences are those of the same seeds, never of others."""

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from encoder_files import write_ours
from scipy import stats

from mssdf.contest.scoring import Scoring, _score_part
from mssdf.contest.standings import write_standings
from mssdf.evaluation.frozen import (
    Measure,
    MeasurementSettings,
    evaluate_encoders,
    load_table,
    resolve_sets,
)
from mssdf.evaluation.frozen.probing import Probed
from mssdf.evaluation.frozen.report import format_table, summarize, write_summary
from mssdf.evaluation.frozen.store import ResultStore
from mssdf.evaluation.frozen.table import FeatureTable

RIGHT = Measure('s', 'rgb', 'kNN-5', 'cls', 100.0, 'accuracy')
QUICK = MeasurementSettings(img_size=32, k=(3,), shares=(100,), penalties=(0.1,), scene_folds=2)
HEADER = dict(
    groups=None, names=[str(number) for number in range(50)], images=50, fingerprint='f', patch=16,
    normalization='given', seconds=1.0,
)  # fmt: skip


def table_of(folder, shares):
    """A table of rows with a share of right answers, the same for each image, by run."""
    table = FeatureTable(ResultStore(folder))
    for name, runs in shares.items():
        for run, share in runs.items():
            sums = np.stack([np.full(50, share), np.ones(50)], axis=1)
            found = Probed('kNN-5', 'cls', 100.0, ['accuracy'], sums)
            table.store.write(f'{name}{run}', HEADER, dict(rgb=[found]))
            table.units.setdefault(name, {}).setdefault('s', {})[run] = f'{name}{run}'
    return table


def test_another_seed_is_missing_in_each_row(tmp_path):
    """Seeds differ widely, the gains of the same seed hardly."""
    ours = {0: 0.2, 1: 0.5, 2: 0.7, 4: 0.9}
    mae = {0: 0.1, 2: 0.62, 3: 0.3, 4: 0.79}
    table = table_of(tmp_path, dict(ours=ours, mae=mae))
    found = table.difference('ours', 'mae', RIGHT)
    gains = [ours[run] - mae[run] for run in (0, 2, 4)]
    low, high = stats.t.interval(0.95, 2, np.mean(gains), stats.sem(gains))  # images are all alike
    np.testing.assert_allclose([found.value, found.low, found.high], [np.mean(gains), low, high])

    (row,) = [row for row in summarize(table, 'mae') if row['name'] == 'ours']
    assert (row['runs'], row['pairs']) == (4, 3)
    assert '(3 pairs)' in format_table(table, [row], 'mae')
    standings = write_standings(table, [], 'mae', [], tmp_path)
    assert any('(3 pairs)' in line for line in standings.splitlines() if line.startswith('| ours'))


def test_rows_of_no_common_seed_spread_each_by_itself(tmp_path):
    ours, mae = [0.5, 0.7], [0.1, 0.4]
    table = table_of(tmp_path, dict(ours=dict(enumerate(ours)), mae=dict(enumerate(mae, start=2))))
    found = table.difference('ours', 'mae', RIGHT)
    welch = stats.ttest_ind(ours, mae, equal_var=False).confidence_interval()
    np.testing.assert_allclose([found.low, found.high], welch)
    assert '(0 pairs)' in format_table(table, summarize(table, 'mae'), 'mae')


def test_a_row_of_one_run_is_compared_with_every_run(tmp_path):
    ours = {1: 0.5, 2: 0.7, 3: 0.6}
    table = table_of(tmp_path, dict(ours=ours, statistics={0: 0.3}))
    found = table.difference('ours', 'statistics', RIGHT)
    values = list(ours.values())
    low, high = stats.t.interval(0.95, 2, np.mean(values) - 0.3, stats.sem(values))
    np.testing.assert_allclose([found.low, found.high], [low, high])
    assert ' pair' not in format_table(table, summarize(table, 'statistics'), 'statistics').replace(
        'paired', ''
    )


@pytest.fixture
def scenes(tmp_path, data_root):
    for name in ('Forest', 'River'):
        (tmp_path / 'scenes' / name).mkdir(parents=True)
        for path in sorted((data_root / 'eurosat_rgb' / name).iterdir())[:8]:
            shutil.copy(path, tmp_path / 'scenes' / name)
    return f'e=scenes:{tmp_path / "scenes"}'


def test_failed_checkpoints_leave_the_numbers_of_the_others(tmp_path, scenes):
    encoders = {
        name: [write_ours(tmp_path / f'{name}{seed}.pth', first + seed) for seed in range(3)]
        for name, first in (('ours', 0), ('mae', 10))
    }
    alone = {}
    for name in encoders:
        table = evaluate_encoders(
            {name: encoders[name][1]}, [scenes], tmp_path / name, QUICK, baselines=False
        )
        alone[name] = {measure: table.sums(name, measure) for measure in table.measures()}
    encoders['ours'][0].write_bytes(b'junk')
    encoders['mae'][2].unlink()

    table = evaluate_encoders(encoders, [scenes], tmp_path / 'out', QUICK, baselines=False)
    assert len(table.failures) == 2
    for read in (table, load_table(tmp_path / 'out')):
        assert (read.runs('ours', 'e'), read.runs('mae', 'e')) == ([1, 2], [0, 1])
        for measure in read.measures():
            right = [alone[name][measure].sum(axis=1)[0] for name in ('ours', 'mae')]
            found = read.difference('ours', 'mae', measure)
            assert found.value == pytest.approx(np.subtract(*[a / b for a, b in right]))
    rows = write_summary(table, 'mae')
    assert {row['pairs'] for row in rows if row['name'] == 'ours'} == {1}
    assert '(1 pair)' in format_table(table, rows, 'mae')


def test_the_number_of_a_run_is_given(tmp_path, scenes):
    given = {5: write_ours(tmp_path / '5.pth', 5), 3: write_ours(tmp_path / '3.pth', 3)}
    table = evaluate_encoders({'ours': given}, [scenes], tmp_path / 'out', QUICK)
    assert table.runs('ours', 'e') == table.runs('untrained', 'e') == [3, 5]
    records = table.store.records()
    assert {(r['run'], r['checkpoint']) for r in records if r['name'] == 'ours'} == {
        (run, str(path)) for run, path in given.items()
    }


def load_tool():
    path = Path(__file__).resolve().parents[2] / 'tools/benchmarks/benchmark_recipes.py'
    spec = importlib.util.spec_from_file_location('benchmark_recipes_of_seeds', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_contest_scores_each_training_under_its_seed(tmp_path, monkeypatch):
    tool, given = load_tool(), {}

    def scored(checkpoints, scoring, say):
        given.update(checkpoints)
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'score_checkpoints', scored)
    records = [
        dict(name=name, seed=seed, checkpoint=f'{name}_seed{seed}.pth')
        for name, seed in (('ours', 7), ('mae', 0), ('ours', 3), ('mae', 7))
    ]
    args = SimpleNamespace(out=str(tmp_path), seeds=[3, 0, 7], entries=[], against='mae')
    with pytest.raises(KeyboardInterrupt):
        tool.score(args, None, records, '')
    assert given == {
        'ours': {seed: tmp_path / f'ours_seed{seed}.pth' for seed in (3, 7)},
        'mae': {seed: tmp_path / f'mae_seed{seed}.pth' for seed in (0, 7)},
    }


def test_a_process_of_a_contest_outlives_its_bad_checkpoints(tmp_path, scenes, capsys):
    (tmp_path / 'bad.pth').write_bytes(b'junk')
    scoring = Scoring(resolve_sets([scenes]), QUICK, tmp_path / 'scores')
    _score_part(1, [('bad', 0, tmp_path / 'bad.pth')], scoring)
    assert 'bad.pth: expected a checkpoint of PyTorch, found a damaged' in capsys.readouterr().out
