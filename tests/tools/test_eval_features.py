import csv
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / 'evaluation'))
from encoder_files import write_ours  # noqa: E402

PATH = TESTS.parent / 'tools' / 'analysis_tools' / 'eval_features.py'
spec = importlib.util.spec_from_file_location('eval_features', PATH)
eval_features = importlib.util.module_from_spec(spec)
spec.loader.exec_module(eval_features)


def test_a_table_pictures_and_a_second_call(tmp_path, data_root, capsys):
    for seed in (0, 1):
        write_ours(tmp_path / f'{seed}.pth', seed)
    arguments = [
        f'ours={tmp_path / "0.pth"},{tmp_path / "1.pth"}',
        *('--sets', 'kampala', f'e=scenes:{data_root / "eurosat_rgb"},limit=60'),
        *('--out', str(tmp_path / 'out'), '--img-size', '64', '--k', '5', '--penalties', '0.1'),
        *('--no-conv', '--device', 'cpu', '--threads', '1', '--against', 'image statistics'),
    ]
    assert eval_features.main(arguments) == 0
    said = capsys.readouterr().out
    assert 'ours (2 runs)' in said and "Differences from 'image statistics'" in said
    assert 'kampala linear IoU' in said and 'e linear cls 1 % accuracy' in said
    for name in ('scores.png', 'features.png'):
        with Image.open(tmp_path / 'out' / name) as picture:
            assert min(picture.size) > 200 and len(picture.convert('RGB').getcolors(1 << 24)) > 50
    with open(tmp_path / 'out/summary.csv', newline='') as file:
        (row,) = [
            row for row in csv.DictReader(file) if (row['name'], row['measure']) == ('ours', 'IoU')
        ]
    assert f'{float(row["value"]):.3f} [{float(row["low"]):.3f}' in said
    assert eval_features.main([*arguments, '--no-pictures']) == 0
    again = capsys.readouterr().out
    assert again.startswith('0 of 12 measurements') and row['value'][:5] in again


@pytest.mark.parametrize(
    'given, message',
    [
        (['ours', '--suite', 'small'], 'expected NAME=CKPT'),
        (['a=x.pth'], '--sets: expected evaluation sets (--suite or --sets), found none'),
        (['a=gone.pth', '--sets', 'kampala'], 'gone.pth: expected a checkpoint file, found none'),
        (['a=x.pth', '--sets', 'b=scenes:gone'], 'expected a folder'),
        (['a=x.pth', '--sets', 'kampala', '--folds', '1'], 'scene_folds'),
        (['a=x.pth', '--sets', 'kampala', '--mean', '1', '1', '1'], '--mean and --std together'),
        (['a=x.pth', '--sets', 'kampala', '--config', 'nope.py'], 'nope.py'),
        (['a=x.pth', '--sets', 'binary.json'], 'binary.json: expected JSON'),
        (['a=x.pth', '--sets', 'number.json'], "set 'a': path: expected text, found 3"),
        (['a=x.pth', '--sets', 'kampala', '--against', 'typo'], "found 'typo'"),
        (['a=x.pth', '--sets', 'kampala', '--out', 'x.pth'], 'x.pth: expected a folder'),
        (['a=x.pth,x.pth', '--sets', 'kampala'], 'a checkpoint of each seed'),
        (['a=x.pth', '--sets', 'kampala', '--threads', '-1'], '--threads: expected 1 or more'),
        (['a=x.pth', '--sets', 'kampala', '--k', '3', '3'], 'k: expected different values'),
        (['a=x.pth', '--sets', 'kampala', '--shares', '1', '1'], 'shares: expected different'),
        (
            ['a=junk.pth', '--sets', 'kampala', '--no-baselines'],
            'junk.pth: expected a checkpoint of',
        ),
        (['a=x.pth', '--sets', 'kampala', '--out', 'other'], 'table.json: expected a table'),
    ],
)
def test_wrong_input_is_one_line(given, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if 'a=gone.pth' not in given:
        write_ours(tmp_path / 'x.pth')
    (tmp_path / 'binary.json').write_bytes(b'\xff\xfe')
    (tmp_path / 'junk.pth').write_bytes(b'junk')
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/table.json').write_text('[]')
    (tmp_path / 'number.json').write_text('[{"name": "a", "kind": "scenes", "path": 3}]')
    capsys.readouterr()
    assert eval_features.main(['--out', str(tmp_path / 'out'), *given]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    if 'a=junk.pth' not in given:
        assert not said.out  # nothing was measured
    assert line.startswith('eval_features.py: ') and message in line


def damage(path, how):
    """Make a checkpoint one of those that a training leaves behind when it goes wrong."""
    content = torch.load(path, weights_only=False)
    name = next(name for name in content['state_dict'] if name.endswith('ffn.layers.1.weight'))
    if how == 'NaN':
        content['state_dict'][name] *= torch.nan
    elif how == 'weights':
        del content['state_dict'][name]
    elif how == 'class':
        content['meta']['cfg'] = content['meta']['cfg'].replace('MaskedVision', 'Unknown')
    elif how == 'config':
        content['meta']['cfg'] = 'model = ('
    torch.save(content, path)
    if how == 'junk':
        path.write_bytes(b'junk')
    elif how == 'gone':
        path.unlink()


@pytest.mark.parametrize('how', ['NaN', 'weights', 'class', 'config', 'junk', 'gone'])
def test_a_bad_checkpoint_does_not_end_the_others(how, tmp_path, data_root, capsys):
    for seed, name in enumerate(('bad', 'good', 'other')):
        write_ours(tmp_path / f'{name}.pth', seed)
    damage(tmp_path / 'bad.pth', how)
    capsys.readouterr()
    arguments = [
        f'n={tmp_path / "bad.pth"}',
        f'a={tmp_path / "bad.pth"},{tmp_path / "good.pth"},,{tmp_path / "other.pth"}',
        *('--sets', f'e=scenes:{data_root / "eurosat_rgb"},limit=40', '--folds', '2'),
        *('--out', str(tmp_path / 'out'), '--img-size', '32', '--k', '5', '--penalties', '0.1'),
        *('--shares', '100', '--device', 'cpu', '--against', 'n'),
    ]
    assert eval_features.main(arguments) == 1
    said = capsys.readouterr()
    (line,) = said.err.splitlines()  # once, whatever the rows and sets
    assert line.startswith('eval_features.py: not measured: ') and 'bad.pth: ' in line
    assert "Differences from 'untrained'" in said.out
    with open(tmp_path / 'out/table.csv', newline='') as file:
        runs = {(row['name'], row['run']) for row in csv.DictReader(file)}
    assert {run for name, run in runs if name == 'a'} == {'1', '3'}
    assert not any(name == 'n' for name, _ in runs)
    assert (tmp_path / 'out/features.png').is_file()
