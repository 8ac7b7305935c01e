"""Paths that stay in a folder, and those that do not."""

import pytest

from mssdf.utils.containment import OutsideError, inside


@pytest.mark.parametrize('path', ['a.tif', 'sub/a.tif', 'sub/../a.tif', 'new/deep/a.tif'])
def test_what_is_inside(tmp_path, path):
    (tmp_path / 'out/sub').mkdir(parents=True)
    assert inside(tmp_path / 'out', path) == tmp_path / 'out' / path


@pytest.mark.parametrize(
    'path',
    [
        '/etc/passwd',
        '../a.tif',
        'sub/../../a.tif',
        '..',
        '',
        '.',
        'link/a.tif',
        'sub/..',
        '../out2/a',
    ],
)
def test_what_is_outside(tmp_path, path):
    (tmp_path / 'out/sub').mkdir(parents=True)
    (tmp_path / 'out2').mkdir()
    (tmp_path / 'out/link').symlink_to(tmp_path / 'out2')
    with pytest.raises(OutsideError, match='expected a path inside'):
        inside(tmp_path / 'out', path)


def test_a_link_at_the_end_is_the_folders_own(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'victim').write_text('kept')
    (tmp_path / 'out/a').symlink_to(tmp_path / 'victim')
    inside(tmp_path / 'out', 'a').unlink()
    assert (tmp_path / 'victim').read_text() == 'kept'


def test_the_folder_itself_may_lie_behind_a_link(tmp_path):
    (tmp_path / 'disk').mkdir()
    (tmp_path / 'out').symlink_to(tmp_path / 'disk')
    assert inside(tmp_path / 'out', 'a') == tmp_path / 'out/a'
