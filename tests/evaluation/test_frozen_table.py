"""The whole measurement on tiny encoders: what is in the table, resuming, differences."""

import csv
import json
import shutil

import numpy as np
import pytest
from encoder_files import write_mae, write_ours

from mssdf.evaluation.frozen import (
    EvaluationSet,
    Measure,
    MeasurementSettings,
    evaluate_encoders,
    load_table,
    paired_differences,
    suite,
)
from mssdf.evaluation.frozen.bootstrap import score_interval
from mssdf.evaluation.frozen.reading import load_set
from mssdf.evaluation.frozen.report import format_table, write_summary
from mssdf.evaluation.frozen.scores import SCORES

SETTINGS = MeasurementSettings(
    img_size=64, penalties=(1e-2, 1e-1), ridge_penalties=(0.1, 10.0), conv_steps=3, shares=(10, 100)
)

COVER = ('cover', 'cover', suite('small')[2].path)


@pytest.fixture(scope='module')
def sets():
    found = {one.name: one for one in suite('small')}
    return [
        EvaluationSet('scenes', 'scenes', found['eurosat'].path, limit=120),
        EvaluationSet('heights', 'height', found['ign'].path, 'rgbn.tif', 'dsm.tif', limit=20),
        EvaluationSet(*COVER, limit=24),
    ]


@pytest.fixture(scope='module')
def measured(tmp_path_factory, sets):
    root = tmp_path_factory.mktemp('measured')
    encoders = {
        'ours': [write_ours(root / f'ours{seed}.pth', seed) for seed in (0, 1)],
        'mae': [write_mae(root / 'mae.pth')],
    }
    lines = []
    table = evaluate_encoders(encoders, sets, root / 'out', SETTINGS, progress=lines.append)
    return root, encoders, table, lines


def test_rows_and_measures(measured):
    _, _, table, lines = measured
    assert table.names == ['ours', 'mae', 'untrained', 'image statistics', 'random convolutions']
    assert [len(table.units[name]['scenes']) for name in table.names] == [2, 1, 2, 1, 1]
    assert lines[0] == '21 of 21 measurements to do' and len(lines) == 22
    found = {str(measure) for measure in table.measures()}
    assert {
        'scenes kNN-20 cls accuracy',
        'scenes kNN-5 mean accuracy',
        'scenes linear cls 10 % accuracy',
        'scenes linear mean accuracy',
        'heights linear R2',
        'heights conv RMSE',
        'cover linear mIoU',
        'cover rgb+dsm conv mIoU',
    } <= found
    both = Measure('cover', 'rgb+dsm', 'linear', 'patch', 100.0, 'mIoU')
    has = {name: table.score(name, both) is not None for name in table.names}
    assert has.pop('mae') is False and all(has.values())
    knn = Measure('scenes', 'rgb', 'kNN-5', 'cls', 100.0, 'accuracy')
    assert all(table.score(name, knn) is not None for name in table.names)


def test_the_table_tells_the_figures_and_the_conditions(measured):
    root, encoders, table, _ = measured
    with open(root / 'out/table.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    content = json.loads((root / 'out/table.json').read_text())
    assert len(rows) == len(content['rows'])
    (row,) = [
        row
        for row in rows
        if (row['name'], row['run'], row['set'], row['probe'], row['pool'])
        == ('ours', '1', 'scenes', 'kNN-20', 'cls')
    ]
    sums = table.sums('ours', Measure('scenes', 'rgb', 'kNN-20', 'cls', 100.0, 'accuracy'))
    assert float(row['value']) == pytest.approx(sums[1, :, 0].mean())
    assert float(row['low']) <= float(row['value']) <= float(row['high'])
    assert (row['k'], row['folds'], row['metric'], row['img_size']) == ('20', '5', 'cosine', '64')
    assert row['normalization'] == "checkpoint's" and row['patch'] == '16'
    assert row['checkpoint'] == str(encoders['ours'][1]) and row['images'] == '120'


def test_a_second_call_computes_only_what_is_missing(measured, sets):
    root, encoders, table, _ = measured
    lines = []
    before = (root / 'out/table.csv').read_bytes()
    again = evaluate_encoders(encoders, sets, root / 'out', SETTINGS, progress=lines.append)
    assert lines == ['0 of 21 measurements to do'] and again.units == table.units
    assert (root / 'out/table.csv').read_bytes() == before
    assert load_table(root / 'out').units == table.units

    more = dict(encoders, third=[write_ours(root / 'third.pth', 7)])
    lines.clear()
    evaluate_encoders(more, sets[1:2], root / 'out', SETTINGS, progress=lines.append)
    assert lines[0] == '1 of 8 measurements to do' and 'third' in lines[1]


def test_an_interrupted_measurement_goes_on(tmp_path, sets):
    encoders = {'ours': write_ours(tmp_path / 'ours.pth')}
    lines = []

    def interrupt(line):
        lines.append(line)
        if line.startswith('[1/'):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_encoders(
            encoders, sets[1:], tmp_path / 'out', SETTINGS, baselines=False, progress=interrupt
        )
    lines.clear()
    evaluate_encoders(
        encoders, sets[1:], tmp_path / 'out', SETTINGS, baselines=False, progress=lines.append
    )
    assert lines[0] == '1 of 2 measurements to do'

    write_ours(tmp_path / 'ours.pth', seed=5)  # another checkpoint in the same place
    lines.clear()
    evaluate_encoders(
        encoders, sets[1:2], tmp_path / 'out', SETTINGS, baselines=False, progress=lines.append
    )
    assert lines[0] == '1 of 1 measurements to do'
    rows = json.loads((tmp_path / 'out/table.json').read_text())['rows']
    assert len([row for row in rows if row['set'] == 'heights' and row['measure'] == 'R2']) == 2


def test_differences_are_those_of_the_scores(measured):
    _, _, table, _ = measured
    found = paired_differences(table, 'ours', 'mae')
    assert not any(measure.input != 'rgb' for measure in found)
    for measure, interval in found.items():
        scores = [
            np.mean([SCORES[measure.measure](run.sum(axis=0)) for run in table.sums(name, measure)])
            for name in ('ours', 'mae')
        ]
        assert interval.value == pytest.approx(scores[0] - scores[1])
        assert interval.low <= interval.value + 1e-9 and interval.value - 1e-9 <= interval.high
    same = paired_differences(table, 'mae', 'mae')
    assert all((one.value, one.low, one.high) == (0, 0, 0) for one in same.values())
    pooled = Measure('scenes', 'rgb', 'linear', 'cls', 100.0, 'accuracy')
    assert pooled in paired_differences(table, 'image statistics', 'ours')
    with pytest.raises(KeyError, match='expected a row'):
        paired_differences(table, 'ours', 'theirs')


def test_the_text_and_the_summary_say_the_same(measured):
    root, _, table, _ = measured
    rows = write_summary(table, 'untrained')
    text = format_table(table, rows, 'untrained')
    row = next(row for row in rows if row['name'] == 'ours' and row['measure'] == 'R2')
    assert f'{row["value"]:.3f} [{row["low"]:.3f}, {row["high"]:.3f}]' in text
    assert f'{row["difference"]:+.3f} [' in text and 'ours (2 runs)' in text
    with open(root / 'out/summary.csv', newline='') as file:
        assert len(list(csv.DictReader(file))) == len(rows)


def test_wrong_calls_are_told(tmp_path, sets):
    path = write_ours(tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='no name of a baseline'):
        evaluate_encoders({'untrained': path}, sets, tmp_path / 'out', SETTINGS)
    with pytest.raises(ValueError, match='at least one checkpoint'):
        evaluate_encoders({'a': []}, sets, tmp_path / 'out', SETTINGS)
    with pytest.raises(ValueError, match='at least one set'):
        evaluate_encoders({'a': path}, [], tmp_path / 'out', SETTINGS)
    with pytest.raises(FileNotFoundError, match='expected a table'):
        load_table(tmp_path / 'empty')


QUICK = MeasurementSettings(
    img_size=32, k=(3,), shares=(100,), penalties=(0.1,), scene_folds=2, conv_steps=2
)


@pytest.fixture
def scenes(tmp_path, data_root):
    """A folder of two classes that a test may change."""
    for name in ('Forest', 'River'):
        (tmp_path / 'scenes' / name).mkdir(parents=True)
        for path in sorted((data_root / 'eurosat_rgb' / name).iterdir())[:8]:
            shutil.copy(path, tmp_path / 'scenes' / name)
    return tmp_path / 'scenes'


def quick(encoders, sets, out, **options):
    return evaluate_encoders(encoders, sets, out, QUICK, progress=lambda _: None, **options)


def test_a_set_under_another_name_has_the_same_figures(tmp_path, scenes):
    encoders = {'ours': write_ours(tmp_path / 'ours.pth')}
    values = {}
    for names in (['first'], ['second'], ['third', 'fourth']):
        sets = [f'{name}=scenes:{scenes}' for name in names]
        table = quick(encoders, sets, tmp_path / 'out', baselines=False)
        assert {measure.set for measure in table.measures()} == set(names)
        for row in write_summary(table):
            values.setdefault((row['probe'], row['pool']), []).append(row['value'])
    assert values and all(len(found) == 4 and len(set(found)) == 1 for found in values.values())


def test_rows_of_other_images_have_no_difference(tmp_path, scenes):
    ours, theirs = write_ours(tmp_path / 'ours.pth'), write_mae(tmp_path / 'mae.pth')
    sets = [f'e=scenes:{scenes}']
    quick({'ours': ours, 'late': theirs}, sets, tmp_path / 'out', baselines=False)
    for path in scenes.glob('River/*'):
        path.write_bytes(next(scenes.glob('Forest/*')).read_bytes())
    quick({'mae': theirs}, sets, tmp_path / 'out', baselines=False)
    table = load_table(tmp_path / 'out')
    assert paired_differences(table, 'mae', 'ours') == {}
    assert len(paired_differences(table, 'late', 'ours')) > 0
    prints = {record['name']: record['fingerprint'] for record in table.store.records()}
    assert prints['ours'] == prints['late'] != prints['mae']


@pytest.mark.parametrize('end', ['npz', 'json'])
def test_a_damaged_unit_is_measured_again(tmp_path, scenes, end):
    encoders = {'ours': write_ours(tmp_path / 'ours.pth')}
    sets = [f'e=scenes:{scenes}']
    before = write_summary(quick(encoders, sets, tmp_path / 'out', baselines=False))
    (unit,) = (tmp_path / 'out/units').glob(f'*.{end}')
    unit.write_bytes(unit.read_bytes()[:50])
    after = write_summary(quick(encoders, sets, tmp_path / 'out', baselines=False))
    assert after == before and len(unit.read_bytes()) > 50


@pytest.mark.parametrize(
    'break_it',
    [
        lambda unit: unit.pop('groups'),
        lambda unit: unit.update(groups=['a'] * 16),
        lambda unit: unit.update(names=unit['names'][:3]),
        lambda unit: unit['results'][0].pop('details'),
        lambda unit: unit['results'][0].update(measures=['luck']),
    ],
    ids=['no groups', 'groups of text', 'few names', 'no details', 'an unknown measure'],
)
def test_a_unit_that_lacks_something_is_measured_again(tmp_path, scenes, break_it):
    encoders = {'ours': write_ours(tmp_path / 'ours.pth')}
    sets = [f'e=scenes:{scenes}']
    before = write_summary(quick(encoders, sets, tmp_path / 'out', baselines=False))
    (path,) = (tmp_path / 'out/units').glob('*.json')
    whole = json.loads(path.read_text())
    broken = json.loads(path.read_text())
    break_it(broken)
    path.write_text(json.dumps(broken))
    after = write_summary(quick(encoders, sets, tmp_path / 'out', baselines=False))
    again = json.loads(path.read_text())
    assert after == before and again['results'] == whole['results']
    assert again['names'] == whole['names'] and again['groups'] == whole['groups']


@pytest.mark.parametrize(
    'content, message',
    [
        ([], 'expected a table of features, found list instead of a dictionary'),
        (None, 'found NoneType instead of a dictionary'),
        ({'latest': 'x', 'rows': 3}, "expected a table of features, found int in 'rows'"),
        ({'rows': 3}, "found no key 'latest'"),
        ({'latest': 'x', 'rows': [3]}, r'rows\[0\]: expected a measurement, found int instead'),
        (
            {'latest': 'x', 'rows': [dict(set='e', unit='u', settings='x', run=0)]},
            r"rows\[0\]: expected a measurement, found no key 'name'",
        ),
        (
            {'latest': 'x', 'rows': [dict(name=[], set='e', unit='u', settings='x', run=0)]},
            r"rows\[0\]: expected a measurement, found list in 'name'",
        ),
    ],
)
def test_a_file_that_is_no_table_is_told_before_anything_is_measured(
    tmp_path, scenes, content, message
):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'table.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'table.json: .*{message}'):
        load_table(out)
    with pytest.raises(ValueError, match=f'table.json: .*{message}'):
        quick({'ours': write_ours(tmp_path / 'ours.pth')}, [f'e=scenes:{scenes}'], out)
    assert not any((out / 'units').iterdir())


@pytest.mark.parametrize(
    'given',
    [
        dict(k=(3, 3)),
        dict(shares=(10, 10.0)),
        dict(penalties=(0.1, 0.1)),
        dict(ridge_penalties=(1, 1)),
    ],
)
def test_settings_that_repeat_themselves_are_told(given):
    (name,) = given
    with pytest.raises(ValueError, match=f'{name}: expected different values, found'):
        MeasurementSettings(**given)


@pytest.mark.parametrize(
    'given', [dict(penalties=(0.1, float('nan'))), dict(penalties=(float('inf'),)), dict(k=())]
)
def test_settings_that_cannot_be_used_are_told(given):
    (name,) = given
    with pytest.raises(ValueError, match=f'{name}: expected positive values'):
        MeasurementSettings(**given)


def test_a_checkpoint_is_no_second_seed_of_itself(tmp_path, scenes):
    path = write_ours(tmp_path / 'a.pth')
    shutil.copy(path, tmp_path / 'b.pth')
    with pytest.raises(ValueError, match='expected a checkpoint of each seed.*a.pth and .*b.pth'):
        quick({'ours': [path, tmp_path / 'b.pth']}, [f'e=scenes:{scenes}'], tmp_path / 'out')


def test_a_set_that_cannot_be_measured_does_not_end_the_others(tmp_path, scenes):
    broken = tmp_path / 'broken'
    shutil.copytree(scenes, broken)
    next(broken.glob('River/*')).write_bytes(b'no image')
    encoders = {'ours': write_ours(tmp_path / 'ours.pth')}
    sets = [f'broken=scenes:{broken}', f'e=scenes:{scenes}']
    table = quick(encoders, sets, tmp_path / 'out')
    (failure,) = table.failures
    assert failure.startswith("set 'broken': ") and 'expected an image' in failure
    assert {measure.set for measure in table.measures()} == {'e'} and len(table.names) == 4
    with pytest.raises(ValueError, match="set 'broken'"):
        quick(encoders, sets[:1], tmp_path / 'out')


def test_windows_of_a_group_are_resampled_together(measured):
    _, _, table, _ = measured
    measure = Measure('cover', 'rgb', 'linear', 'patch', 100.0, 'mIoU')
    sums, data = table.sums('mae', measure), load_set(EvaluationSet(*COVER, limit=24), 64)
    whole = np.stack([sums[:, data.groups == one].sum(axis=1) for one in set(data.groups)], axis=1)
    expected = score_interval(whole, SCORES['mIoU'])
    found = table.score('mae', measure)
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high])
