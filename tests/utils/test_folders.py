"""Files of folders: links, cycles, hidden ones, capitals."""

import subprocess
from pathlib import Path

from mssdf.datasets.tasks.matching_files import match_files
from mssdf.utils import folders
from mssdf.utils.folders import files_below, files_in, in_any_case


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)


def test_links_are_followed_and_cycles_end(tmp_path):
    real, elsewhere = tmp_path / 'real', tmp_path / 'elsewhere'
    touch(real / '2020/a.tif', elsewhere / '2021/b.tif', elsewhere / '2021/deep/c.tif')
    (real / '2021').symlink_to(elsewhere / '2021')
    (real / 'd.tif').symlink_to(elsewhere / '2021/b.tif')
    (elsewhere / '2021/back').symlink_to(real)
    (real / '2020/itself').symlink_to(real / '2020')
    (real / 'gone').symlink_to(tmp_path / 'nowhere')
    found = [path.relative_to(real).as_posix() for path in files_below(real)]
    assert found == ['2020/a.tif', '2021/b.tif', '2021/deep/c.tif', 'd.tif']
    # as find says, which knows cycles itself
    command = ['find', '-L', str(real), '-type', 'f']
    listed = subprocess.run(command, capture_output=True, text=True).stdout.split()
    assert set(map(str, files_below(real))) <= set(listed)


def test_a_folder_reached_twice_gives_its_files_once_under_its_own_name(tmp_path):
    touch(tmp_path / 'z/a.tif')
    (tmp_path / 'latest').symlink_to(tmp_path / 'z')
    assert files_below(tmp_path) == [tmp_path / 'z/a.tif']


def test_many_links_to_each_other_end(tmp_path):
    all_of_them = [tmp_path / f'{number}' for number in range(12)]
    touch(*(folder / 'a.tif' for folder in all_of_them))
    for folder in all_of_them:
        for other in all_of_them:
            (folder / f'to_{other.name}').symlink_to(other)
    assert len(files_below(tmp_path)) == 12


def test_hidden_files_are_left_out_and_capitals_do_not_count(tmp_path):
    touch(*(tmp_path / name for name in ('a.TIF', '._a.TIF', 'b.tif', 'c.txt', '.cache/d.tif')))
    assert [path.name for path in files_below(tmp_path, '.tif')] == ['a.TIF', 'b.tif']
    assert [path.name for path in files_in(tmp_path, '.TIF')] == ['a.TIF', 'b.tif']
    assert in_any_case(tmp_path / 'a.tif') == tmp_path / 'a.TIF'
    assert in_any_case(tmp_path / 'x.tif') == tmp_path / 'x.tif'


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path / 'a.tif', tmp_path / 'closed/b.tif')
    listed = Path.iterdir

    def iterdir(folder):
        if folder.name == 'closed':
            raise PermissionError(13, 'Permission denied', str(folder))
        return listed(folder)

    said = []
    monkeypatch.setattr(Path, 'iterdir', iterdir)
    monkeypatch.setattr(folders, 'print_log', lambda message, **_: said.append(message))
    assert files_below(tmp_path) == [tmp_path / 'a.tif']
    (message,) = said
    assert message.startswith(f'{tmp_path / "closed"} cannot be read')


def test_samples_of_parallel_folders(tmp_path):
    images, heights = tmp_path / 'images', tmp_path / 'heights'
    touch(images / 'a.TIF', images / '._a.TIF', images / 'b.tif')
    touch(heights / 'a.tif', tmp_path / 'more/c.TIF', heights / 'in/C.tif', heights / 'b.Tif')
    (images / 'in').symlink_to(tmp_path / 'more')
    places = dict(img_path=str(images), depth_map_path=str(heights))
    samples = match_files(places, dict(img_path='.tif', depth_map_path='.tif'))
    assert [tuple(map(Path, sample.values())) for sample in samples] == [
        (images / 'a.TIF', heights / 'a.tif'),
        (images / 'b.tif', heights / 'b.Tif'),
        (images / 'in/c.TIF', heights / 'in/C.tif'),
    ]
