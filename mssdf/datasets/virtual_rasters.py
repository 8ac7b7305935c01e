"""Files that a VRT refers to, found without letting GDAL open any of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from mssdf.utils.safe_xml import read_xml

from .read_errors import UnreadableFileError

HEAD = b'<VRTDataset'
HEAD_BYTES = 512

# Elements whose text is the name of a file, and metadata items and options whose value is one.
FILE_TAGS = ('SourceFilename', 'SourceDataset')
FILE_KEYS = ('X_DATASET', 'Y_DATASET', 'OVERVIEW_FILE', 'RPC_DEM')
# Python that GDAL would run for each block, where its options allow that.
CODE_TAGS = ('PixelFunctionCode',)


def is_virtual(path: str) -> bool:
    """Whether a local file is a VRT, by its content."""
    try:
        with open(path, 'rb') as stream:
            return HEAD in stream.read(HEAD_BYTES)
    except OSError:
        return False


def references_of(path: str) -> list[str]:
    """Names of the files that a VRT refers to, each once, as GDAL would open them.

    Args:
        path: local VRT.

    Returns:
        Paths made absolute where they are relative to the VRT; others as they stand.

    Raises:
        OSError: if it cannot be read.
        UnreadableFileError: if it is no VRT, or brings code with it.
    """
    try:
        root = read_xml(Path(path))
    except ValueError as error:
        raise UnreadableFileError(path, str(error).removeprefix(f'{path}: ')) from None
    if root.tag != 'VRTDataset':
        raise UnreadableFileError(path, f'expected a VRT, found XML of {root.tag!r}')
    # GDAL counts from where a link leads
    folder = os.path.dirname(os.path.realpath(path))
    found: dict[str, None] = {}
    for element in root.iter():
        if element.tag in CODE_TAGS:
            raise UnreadableFileError(path, f'expected a VRT without code, found {element.tag}')
        for name in _names(element):
            relative = element.get('relativeToVRT', element.get('relativetoVRT', '0'))
            found[os.path.join(folder, name) if relative == '1' else name] = None
    return list(found)


def _names(element: ElementTree.Element) -> Iterator[str]:
    text = (element.text or '').strip()
    key = (element.get('key') or element.get('name') or '').upper()
    argument = element.tag == 'Argument' and 'FILENAME' in key
    if text and (element.tag in FILE_TAGS or key in FILE_KEYS or argument):
        yield text
