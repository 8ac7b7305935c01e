"""Text in any encoding that programs write."""

import pytest

from mssdf.utils.text_files import read_lines, read_text

TEXT = 'Köln.tif\r\n\r\n  Düren.tif \r\n'


@pytest.mark.parametrize(
    'encoding',
    ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'latin-1', 'cp1252'],
)
def test_encodings_are_told_apart(tmp_path, encoding):
    path = tmp_path / 'list.txt'
    path.write_bytes(TEXT.encode(encoding))
    assert read_text(path) == TEXT
    assert read_lines(path) == [(1, 'Köln.tif'), (3, 'Düren.tif')]


def test_a_mark_in_front_of_utf_16_of_the_other_order(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_bytes(b'\xfe\xff' + TEXT.encode('utf-16-be'))
    assert read_text(path) == TEXT


@pytest.mark.parametrize(
    ('content', 'line'),
    [(b'a.tif\nb\x81.tif\n', 2), (b'\xef\xbb\xbfa\n\n\xff\xfe\n', 3)],
)
def test_what_is_no_text_is_named_with_its_line(tmp_path, content, line):
    path = tmp_path / 'list.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'list\.txt:{line}: expected text in UTF-8'):
        read_text(path)


def test_an_empty_file(tmp_path):
    (tmp_path / 'list.txt').write_bytes(b'')
    assert read_lines(tmp_path / 'list.txt') == []
