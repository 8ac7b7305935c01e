"""Fingerprints of data: what changes them and what does not."""

from mssdf.utils.fingerprints import file_facts, visible_files


def test_hidden_files_and_those_of_hidden_folders_do_not_count(tmp_path):
    data = tmp_path / '.hidden above' / 'data'  # only names below the folder count
    (data / 'patch' / '.mssdf_cache').mkdir(parents=True)
    for name in ('b.tif', 'patch/a.tif', '.note', 'patch/.mssdf_cache/index.json'):
        (data / name).write_text(name)
    assert visible_files(data) == [data / 'b.tif', data / 'patch/a.tif']
    assert [place for place, *_ in file_facts(visible_files(data), data)] == [
        'b.tif',
        'patch/a.tif',
    ]
