"""XML of unknown origin, read without document type, entities or other files."""

from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from mssdf.errors import FileError, Words

LARGEST = 2**26  # bytes, as expat keeps the whole tree in memory


def read_xml(path: Path) -> ElementTree.Element:
    """Read the root element of a file.

    Args:
        path: path of the file.

    Raises:
        OSError: if the file cannot be read.
        FileError: if the file is not XML, is larger than 64 MiB, or has a document type
            declaration, whose entities could grow without bound or name other files.
    """
    if path.stat().st_size > LARGEST:
        raise FileError(path, f'XML of at most {LARGEST} bytes', Words('more'))
    content = path.read_bytes()
    scout = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise FileError(
            f'{path}:{scout.CurrentLineNumber}',
            'XML without a document type',
            Words('one, which may define entities'),
        )

    scout.StartDoctypeDeclHandler = refuse
    scout.EntityDeclHandler = refuse
    try:
        scout.Parse(content, True)
        return ElementTree.fromstring(content)
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise FileError(path, 'XML', Words(error)) from None
