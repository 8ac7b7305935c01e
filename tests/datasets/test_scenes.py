import json
from pathlib import Path

import pytest
import yaml

from mssdf.datasets.scenes import ModalitySettings, list_scenes, scan_folder

RGB_DSM = dict(rgb=ModalitySettings(suffix='_dom.tif'), dsm=ModalitySettings(suffix='_dsm.tif'))


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_layout_of_hr_pairs(tmp_path):
    touch(tmp_path / 'patch', 'b_dom.tif', 'a_dsm.tif', 'a_dom.tif', 'c_dsm.tif', 'notes.txt')
    scenes = scan_folder(str(tmp_path), 'patch', RGB_DSM)
    assert [(s.name, list(s.files)) for s in scenes] == [
        ('a', ['rgb', 'dsm']),
        ('b', ['rgb']),
        ('c', ['dsm']),
    ]
    assert scenes[0].files['dsm'].path == str(tmp_path / 'patch' / 'a_dsm.tif')


def test_the_longest_suffix_decides(tmp_path):
    touch(tmp_path / 'patch', 'a.tif', 'a_dsm.tif')
    modalities = dict(rgb=ModalitySettings(suffix='.tif'), dsm=ModalitySettings(suffix='_dsm.tif'))
    (scene,) = scan_folder(str(tmp_path), 'patch', modalities)
    assert {m: Path(f.path).name for m, f in scene.files.items()} == dict(
        rgb='a.tif', dsm='a_dsm.tif'
    )


def test_missing_folder_and_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'NAME_dom\.tif.*patch.*MSSDF_DATA'):
        scan_folder(str(tmp_path), 'patch', RGB_DSM)
    with pytest.raises(FileNotFoundError, match='none given'):
        scan_folder('', 'patch', RGB_DSM)
    touch(tmp_path / 'patch', 'a.jpg')
    with pytest.raises(FileNotFoundError, match=r'NAME_dom\.tif, NAME_dsm\.tif, found none'):
        scan_folder(str(tmp_path), 'patch', RGB_DSM)


def test_scenes_need_suffixes_only_when_they_are_scanned(tmp_path):
    with pytest.raises(ValueError, match='suffix'):
        scan_folder(str(tmp_path), 'patch', dict(rgb=ModalitySettings()))


ENTRIES = [
    dict(name='one', rgb='x/a.tif', dsm='b.tif'),
    dict(rgb=dict(path='c.tif', bands=[3, 2, 1])),
]


@pytest.mark.parametrize('form', ['list', 'json', 'yaml', 'wrapped'])
def test_list_and_index_files_mean_the_same(tmp_path, form):
    scenes = ENTRIES
    if form != 'list':
        path = tmp_path / ('index.yaml' if form == 'yaml' else 'index.json')
        content = dict(scenes=ENTRIES) if form == 'wrapped' else ENTRIES
        path.write_text(yaml.safe_dump(content) if form == 'yaml' else json.dumps(content))
        scenes = path.name
    found = list_scenes(scenes, str(tmp_path), RGB_DSM)
    assert [s.name for s in found] == ['one', 'c']
    assert found[0].files['rgb'].path == str(tmp_path / 'x' / 'a.tif')
    assert found[1].files['rgb'].bands == (3, 2, 1) and 'dsm' not in found[1].files


def test_csv_index_with_an_empty_cell(tmp_path):
    path = tmp_path / 'index.csv'
    path.write_text('name,rgb,dsm\none,a.tif,b.tif\ntwo,c.tif,\n')
    found = list_scenes(str(path), '', RGB_DSM)  # without data_root: beside the index
    assert [(s.name, list(s.files)) for s in found] == [('one', ['rgb', 'dsm']), ('two', ['rgb'])]
    assert found[0].files['rgb'].path == str(tmp_path / 'a.tif')


@pytest.mark.parametrize(
    ('scenes', 'error', 'message'),
    [
        ([dict(rgb='a.tif', sar='b.tif')], KeyError, 'sar'),
        ([dict(name='x')], ValueError, r'scenes\[0\]'),
        ([dict(rgb=dict(path='a.tif', band=1))], ValueError, r'scenes\[0\]\.rgb'),
        ([dict(rgb=dict(path='a.tif', bands=[0]))], ValueError, 'from 1'),
        ('nowhere.json', FileNotFoundError, r'nowhere\.json'),
        ([], ValueError, 'expected a list'),
    ],
)
def test_wrong_scenes_are_named(tmp_path, scenes, error, message):
    with pytest.raises(error, match=message):
        list_scenes(scenes, str(tmp_path), RGB_DSM)


@pytest.mark.parametrize(
    ('config', 'error', 'message'),
    [
        (dict(sufix='_dom.tif'), KeyError, r'modalities\.rgb.*sufix'),
        (dict(resampling='cubic'), ValueError, r'modalities\.rgb\.resampling.*cubic'),
        (dict(bands='123'), ValueError, r'modalities\.rgb\.bands'),
        (dict(nodata='zero'), ValueError, r'modalities\.rgb\.nodata'),
    ],
)
def test_wrong_settings_are_named(config, error, message):
    with pytest.raises(error, match=message):
        ModalitySettings.from_config('rgb', config)
