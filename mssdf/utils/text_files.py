"""Text of any program: encodings detected, line ends and blanks removed."""

import codecs
from pathlib import Path

MARKS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
# Encoding that Windows calls ANSI in western Europe. latin-1 differs in its control codes.
EIGHT_BITS = 'cp1252'


def read_text(path: Path) -> str:
    """Read a text in UTF-8, UTF-16 or UTF-32, with or without byte-order mark, or Windows-1252.

    Args:
        path: path of the file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the text has none of these encodings; the error names the line.
    """
    content = path.read_bytes()
    for encoding in _candidates(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            last = error
            continue
        if '\0' in text:
            line = text[: text.index('\0')].count('\n') + 1
            raise ValueError(f'{path}:{line}: expected text, found a zero byte')
        return text.removeprefix('\ufeff')
    line = content[: last.start].count(b'\n') + 1
    found = content[last.start]
    raise ValueError(
        f'{path}:{line}: expected text in UTF-8, UTF-16 or Windows-1252, found the byte {found:#x}'
    )


def _candidates(content: bytes) -> list[str]:
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return [encoding]
    # Without a mark, every second byte of UTF-16 is zero in the text of paths.
    zeros = [content[start:400:2].count(0) for start in (0, 1)]
    if zeros[1] > zeros[0]:
        return ['utf-16-le']
    if zeros[0] > zeros[1]:
        return ['utf-16-be']
    return ['utf-8', EIGHT_BITS]


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return the number, from 1, and the stripped text of each line that is not blank.

    Raises:
        OSError, ValueError: if the file cannot be read; see :func:`read_text`.
    """
    lines = ((number, line.strip()) for number, line in enumerate(read_text(path).splitlines(), 1))
    return [(number, line) for number, line in lines if line]
