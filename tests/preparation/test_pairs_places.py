"""Rasters that the places of a command line mean."""

from pathlib import Path

import pytest

from mssdf.preparation.pairs.places import CatalogError, find_rasters


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(root, *places):
    return [Path(path).relative_to(root).as_posix() for path in find_rasters(map(str, places))]


def test_folders_with_links_capitals_and_hidden_files(tmp_path):
    touch(tmp_path, 'real/2020/a.TIF', 'real/2020/._a.TIF', 'elsewhere/b.tif', 'real/notes.txt')
    (tmp_path / 'real/2021').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere/back').symlink_to(tmp_path / 'real')
    assert found(tmp_path, tmp_path / 'real') == ['real/2020/a.TIF', 'real/2021/b.tif']
    assert found(tmp_path, tmp_path / 'real/**/*.tif') == ['real/2021/b.tif']
    assert found(tmp_path, tmp_path / 're*/**/2020/*') == ['real/2020/a.TIF']
    assert found(tmp_path, tmp_path / 'real/*/*.[tT][iI][fF]') == [
        'real/2020/a.TIF',
        'real/2021/b.tif',
    ]


LIST = 'köln/a.tif\nb.tif\n\n# c.tif\n'


@pytest.mark.parametrize(
    'change',
    [
        lambda text: text.encode('utf-8-sig'),
        lambda text: text.encode('latin-1'),
        lambda text: text.encode('utf-16'),
        lambda text: text.encode('utf-16-be'),
        lambda text: text.replace('\n', ' \r\n').encode(),
        lambda text: text.replace('.tif\n', '.tif,\n').encode(),
        lambda text: text.replace('.tif\n', '.tif;;\n').encode(),
        lambda text: text.replace('a.tif\n', 'a.tif; ').encode(),
        lambda text: text.replace('/', '\\').encode(),
        lambda text: text.replace('b.tif', '"b.tif"').encode(),
    ],
)
def test_lists_of_any_program(tmp_path, change):
    (tmp_path / 'list.TXT').write_bytes(change(LIST))
    assert found(tmp_path, tmp_path / 'list.TXT') == ['köln/a.tif', 'b.tif']


def test_names_with_separators_that_are_there_are_kept(tmp_path):
    touch(tmp_path, 'a,b.tif', 'c;.tif', 'd\\e.tif')
    (tmp_path / 'list.txt').write_text('a,b.tif\nc;.tif\nd\\e.tif\n')
    assert found(tmp_path, tmp_path / 'list.txt') == ['a,b.tif', 'c;.tif', 'd\\e.tif']


def test_a_list_that_is_no_text_is_named_with_its_line(tmp_path):
    (tmp_path / 'list.txt').write_bytes(b'a.tif\nb\x81.tif\n')
    with pytest.raises(ValueError, match=r'list\.txt:2: expected text in UTF-8'):
        find_rasters([str(tmp_path / 'list.txt')])


def test_nothing_found_is_named(tmp_path):
    for place in (tmp_path, tmp_path / '*.tif', tmp_path / 'no/**/*.tif'):
        with pytest.raises(CatalogError, match='found none'):
            find_rasters([str(place)])
