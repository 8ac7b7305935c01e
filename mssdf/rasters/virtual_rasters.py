"""Files that a VRT refers to, found without letting GDAL open any of them."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from mssdf.errors import FileError
from mssdf.utils.safe_xml import read_xml

from .access import is_network, local_part
from .read_errors import UnreadableFileError

HEAD = b'<VRTDataset'
HEAD_BYTES = 512

# Elements whose text is the name of a file, and metadata items and options whose value is one.
# GDAL takes names of elements and attributes in any case; here they are in lower case.
FILE_TAGS = ('sourcefilename', 'sourcedataset')
FILE_KEYS = ('X_DATASET', 'Y_DATASET', 'OVERVIEW_FILE', 'RPC_DEM')
# Python that GDAL would run for each block, where its options allow that.
CODE_TAG, LANGUAGE_TAG = 'pixelfunctioncode', 'pixelfunctionlanguage'
# What stands before the file in the name of a part of it, such as NETCDF:"file.nc":heights.
DRIVER = re.compile(r'\w{2,}:')
TRUE = re.compile(r'\s*[+-]?0*[1-9]')  # as C reads a number


def is_virtual(path: str) -> bool:
    """Tell whether a local file is a VRT, by its content."""
    try:
        with open(path, 'rb') as stream:
            return HEAD in stream.read(HEAD_BYTES)
    except OSError:
        return False


def references_of(path: str) -> list[str]:
    """List the files that a VRT refers to, each once, by the names that GDAL would open.

    Args:
        path: local VRT.

    Returns:
        Paths made absolute where they are relative to the VRT; others as they stand. A part of a
        file, such as ``NETCDF:"file.nc":heights``, is named by its file.

    Raises:
        OSError: if it cannot be read.
        UnreadableFileError: if it is no VRT, or brings code with it.
    """
    try:
        root = read_xml(Path(path))
    except FileError as error:
        raise UnreadableFileError(path, error.problem) from None
    if root.tag.lower() != 'vrtdataset':
        raise UnreadableFileError(path, f'expected a VRT, found XML of {root.tag!r}')
    # GDAL counts from where a link leads
    folder = os.path.dirname(os.path.realpath(path))
    found: dict[str, None] = {}
    for element in root.iter():
        _check_code(path, element)
        attributes = {key.lower(): value for key, value in element.items()}
        base = folder if TRUE.match(attributes.get('relativetovrt', '0')) else ''
        for name in _names(element, attributes):
            found |= dict.fromkeys(_files_in(name, base))
    return list(found)


def _check_code(path: str, element: ElementTree.Element) -> None:
    tag, text = element.tag.lower(), (element.text or '').strip().lower()
    if tag == CODE_TAG or (tag == LANGUAGE_TAG and text == 'python'):
        raise UnreadableFileError(path, f'expected a VRT without code, found {element.tag}')


def _names(element: ElementTree.Element, attributes: Mapping[str, str]) -> Iterator[str]:
    text = (element.text or '').strip()
    tag = element.tag.lower()
    key = (attributes.get('key') or attributes.get('name') or '').upper()
    argument = tag == 'argument' and 'FILENAME' in key
    if text and (tag in FILE_TAGS or key in FILE_KEYS or argument):
        yield text


def _files_in(name: str, folder: str) -> list[str]:
    """List the files that a source may name: one, or several for the name of a part of a file.

    Args:
        name: name as it stands.
        folder: folder that a relative one counts from.
    """
    whole = os.path.join(folder, name)
    if not DRIVER.match(name):
        return [whole]
    if is_network(name):
        return [name]
    parts = [part.strip('"\'') for part in name.split(':')]
    ends = range(2, len(parts) + 1)
    runs = [':'.join(parts[start:end]) for end in ends for start in range(1, end)]
    files = [_local_file(os.path.join(folder, run)) for run in runs]
    return [file for file in (whole, *files) if os.path.isfile(file)] or [name]


def _local_file(path: str) -> str:
    return local_part(path) if path.startswith('/vsi') else path
