"""build_pairs.py touches nothing outside of its output folder, whatever stands in it."""

import json
import shutil

import numpy as np
import pytest
import source_files as files


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sources')
    rgb = files.write_tif(folder / 'rgb.tif', files.texture())
    dsm = files.write_tif(folder / 'dsm.tif', files.texture(1).astype(np.float32))
    return ['--source', f'rgb={rgb}', '--source', f'dsm={dsm}']


@pytest.fixture(scope='module')
def made(tool, sources, tmp_path_factory):
    out = tmp_path_factory.mktemp('made') / 'out'
    assert files.build(tool, out, *sources, '--formats', 'pairs', 'shards') == 0
    return out


@pytest.fixture
def out(made, tmp_path):
    return shutil.copytree(made, tmp_path / 'out')


def run(tool, out, sources, *more):
    return files.build(tool, out, *sources, '--formats', 'pairs', 'shards', *more)


def record_of(out):
    (path,) = (out / '.build').glob('*.json')
    return path, json.loads(path.read_text())


@pytest.mark.parametrize('absolute', [True, False])
@pytest.mark.parametrize('prune', [True, False])
def test_a_record_that_names_a_file_elsewhere(tool, sources, out, capsys, absolute, prune):
    victim = out.parent / 'victim.tif'
    victim.write_text('kept')
    path, record = record_of(out)
    named = str(victim) if absolute else '../victim.tif'
    record['files'].append(dict(path=named, bytes=4, sha256='0'))
    record['digest'] = 'of other rasters'
    path.write_text(json.dumps(record))
    if prune:
        path.rename(path.with_name('epsg32610_n00001_e00001.json'))
    assert run(tool, out, sources, *(['--prune'] if prune else [])) == 2
    assert victim.read_text() == 'kept'
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert '.json: files: expected a path inside' in last and 'victim.tif' in last


def test_a_part_that_leads_elsewhere(tool, sources, out, capsys):
    split = json.loads((out / 'split.json').read_text())
    (out / 'split.json').write_text(json.dumps(dict.fromkeys(split, '../elsewhere')))
    for path in (out / '.build').iterdir():
        path.unlink()
    assert run(tool, out, sources) == 2
    assert not (out.parent / 'elsewhere').exists()
    assert "split.json: expected 'train' or 'val'" in capsys.readouterr().out


@pytest.mark.parametrize('folder', ['.build', 'train', 'train/patch', 'train/shards'])
def test_a_folder_that_is_a_link_to_elsewhere(tool, sources, out, folder):
    elsewhere = out.parent / 'elsewhere'
    shutil.move(out / folder, elsewhere)
    (out / folder).symlink_to(elsewhere)
    (elsewhere / '.x.1.mssdf-partial').write_text('kept')
    before = {path: path.stat().st_mtime_ns for path in elsewhere.rglob('*')}
    if folder != '.build':
        path, record = record_of(out)
        path.write_text(json.dumps({**record, 'digest': 'of other rasters'}))
    assert run(tool, out, sources, '--prune') == 2
    assert {path: path.stat().st_mtime_ns for path in elsewhere.rglob('*')} == before


@pytest.mark.parametrize(
    'content', ['[]', '{}', '{"files": 3}', 'null', '{"files": [{"path": 3}]}', '{"windows":']
)
def test_a_record_of_another_form_is_rebuilt(tool, sources, out, capsys, content):
    path, record = record_of(out)
    path.write_text(content)
    assert run(tool, out, sources) == 0
    rebuilt = record_of(out)[1]
    assert {**rebuilt, 'seconds': 0} == {**record, 'seconds': 0}


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        *(('windows', 'x'), ('valid', [1]), ('valid', dict(rgb='x')), ('dropped', 3)),
        *(('fills', dict(dsm=5)), ('main_raster', [3]), ('correlations', dict(dsm=1))),
        *(('part', '../../x'), ('name', '../x'), ('bounds', 'x'), ('crs', 5)),
    ],
)
def test_a_record_with_values_of_another_form(tool, sources, out, key, value):
    path, record = record_of(out)
    path.write_text(json.dumps({**record, key: value}))
    assert run(tool, out, sources) == 0
    report = json.loads((out / 'report.json').read_text())
    assert sum(part['windows'] for part in report['parts'].values()) == record['windows']


@pytest.mark.parametrize('name', ['settings.json', 'split.json'])
@pytest.mark.parametrize('content', ['{"windows":', '[]'])
def test_damaged_settings_are_named(tool, sources, out, capsys, name, content):
    (out / name).write_text(content)
    assert run(tool, out, sources) == 2
    assert f'{name}: expected' in capsys.readouterr().out.strip().splitlines()[-1]
