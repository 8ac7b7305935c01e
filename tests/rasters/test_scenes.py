import json
from pathlib import Path

import pytest
import yaml

from mssdf.rasters.scenes import ModalitySettings, list_scenes, scan_folder

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
    with pytest.raises(FileNotFoundError, match=r'data_root: expected .*, found none'):
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


def test_hidden_files_are_skipped_and_suffixes_may_stand_in_capitals(tmp_path):
    names = ('a_dom.tif', '._a_dom.tif', 'a_dsm.TIF', '._a_dsm.TIF', 'b_DOM.tif', 'b_DSM.TIFF')
    touch(tmp_path / 'patch', *names)
    scenes = scan_folder(str(tmp_path), 'patch', RGB_DSM)
    found = [(s.name, {m: Path(f.path).name for m, f in s.files.items()}) for s in scenes]
    assert found == [
        ('a', dict(rgb='a_dom.tif', dsm='a_dsm.TIF')),
        ('b', dict(rgb='b_DOM.tif')),  # .TIFF is another suffix
    ]


def test_files_that_differ_in_capitals_alone_are_named(tmp_path):
    touch(tmp_path / 'patch', 'a_dom.tif', 'a_DOM.tif')
    with pytest.raises(ValueError, match=r'a_dom\.tif: expected one file of modality .rgb.*a_DOM'):
        scan_folder(str(tmp_path), 'patch', RGB_DSM)


TABLE = 'name,rgb,dsm\nköln,patch/a.tif,b.tif\ntwo,c.tif,\n'


@pytest.mark.parametrize(
    'change',
    [
        lambda text: text.encode('utf-8-sig'),
        lambda text: text.encode('latin-1'),
        lambda text: text.encode('utf-16'),
        lambda text: text.replace(',', ';').encode(),
        lambda text: text.replace(',', '\t').encode(),
        lambda text: text.replace(',', ' , ').replace('\n', '  \r\n').encode(),
        lambda text: text.replace('\n', ',,\n').encode(),
        lambda text: ('\n' + text.replace('\n', '\n\n') + ',,\n').encode(),
        lambda text: text.replace('/', '\\').encode(),
        lambda text: ('sep=;\n' + text.replace(',', ';')).encode(),
        lambda text: ('# ours, of 2020\n' + text).encode(),
        lambda text: text.replace('name', '"name"').replace('c.tif', '"c.tif"').encode('utf-16-le'),
    ],
)
def test_tables_of_any_program(tmp_path, change):
    path = tmp_path / 'index.CSV'
    path.write_bytes(change(TABLE))
    found = list_scenes(str(path), '', RGB_DSM)
    assert [(s.name, {m: f.path for m, f in s.files.items()}) for s in found] == [
        ('köln', dict(rgb=str(tmp_path / 'patch/a.tif'), dsm=str(tmp_path / 'b.tif'))),
        ('two', dict(rgb=str(tmp_path / 'c.tif'))),
    ]


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'latin-1', 'utf-16'])
def test_trees_of_any_program(tmp_path, encoding):
    text = '[\n\t{"name": "köln", "rgb": "patch\\\\a.tif", },\n]\n'  # a comma too many, too
    (tmp_path / 'index.json').write_bytes(text.encode(encoding))
    (scene,) = list_scenes('index.json', str(tmp_path), RGB_DSM)
    assert (scene.name, scene.files['rgb'].path) == ('köln', str(tmp_path / 'patch/a.tif'))


# Nine lists of nine lists ..., which fill the memory when they are written out.
LAUGHS = b'a0: &a0 [x]\n' + b''.join(
    b'a%d: &a%d [%s]\n' % (n, n, b', '.join([b'*a%d' % (n - 1)] * 9)) for n in range(1, 10)
)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.csv', b'rgb,dsm\na.tif,b.tif\na.tif,b.tif,c.tif\n', r'a\.csv:3: expected at most 2'),
        ('a.csv', b'rgb,,dsm\na.tif,,b.tif\n', r'a\.csv:1: expected the names of columns'),
        ('a.csv', b'rgb\n\x81.tif\n', r'a\.csv:2: expected text in UTF-8'),
        ('a.csv', b'rgb,dsm\n', r'a\.csv: expected a list of scenes'),
        ('a.json', b'[\n{"rgb": "a.tif"\n', r'a\.json:3: expected JSON'),
        ('a.json', b'[\n{"rgb": "patch\\a.tif"}]', r'a\.json:2: expected JSON, found invalid'),
        ('a.json', b'[\n{"rgb": "patch\\b.tif"}]', r'a\.json\[0\]\.rgb: .*written twice'),
        ('a.yaml', b'- rgb: a.tif\n- rgb: [a.tif\n', r'a\.yaml:3: expected YAML'),
        ('a.txt', b'a.tif\n', r'a\.txt: expected a \.json'),
        ('a.csv', b'rgb\n' + b'x' * 200000, r'a\.csv:2: expected cells, found field larger'),
        ('a.json', b'[' * 100000, r'a\.json: expected a list of scenes, found lists in lists'),
        ('a.yaml', b'[' * 5000, r'a\.yaml: expected a list of scenes, found lists in lists'),
        ('a.yaml', LAUGHS, r'a\.yaml: expected a list of scenes, found \{'),
    ],
)
def test_what_is_no_index_is_named_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list_scenes(name, str(tmp_path), RGB_DSM)
