"""Files of one sample in parallel folders."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mssdf.errors import MissingFileError
from mssdf.utils.folders import files_below, in_any_case, list_folder


def match_files(
    folders: Mapping[str, str], suffixes: Mapping[str, str], optional: tuple[str, ...] = ()
) -> list[dict[str, str]]:
    """Make one dictionary of paths per sample, sorted by name.

    Args:
        folders: folder of each key; the first one tells the samples. Subfolders are searched, too,
            links followed; hidden files do not count.
        suffixes: endings of the files of each key, in capitals or not; what stands before is the
            sample's name.
        optional: keys whose folders may be missing altogether (a test set without labels).

    Raises:
        FileNotFoundError: if a folder is missing, the first one is empty, or a sample lacks a
            file.
    """
    first, *others = folders
    root = Path(folders[first])
    if not root.is_dir():
        raise MissingFileError(root, f'the folder of {first}')
    found = files_below(root, suffixes[first])
    if not found:
        raise MissingFileError(root, f'files *{suffixes[first]} of {first}')

    used = []
    for key in others:
        if Path(folders[key]).is_dir():
            used.append(key)
        elif key not in optional:
            raise MissingFileError(folders[key], f'the folder of {key}')

    samples = []
    listing = cache(list_folder)
    for path in found:
        place = path.relative_to(root)
        name = place.name[: len(place.name) - len(suffixes[first])]
        sample = {first: str(path)}
        for key in used:
            partner = Path(folders[key], place.parent, name + suffixes[key])
            sample[key] = str(in_any_case(partner, listing))
        lacking = [path for path in sample.values() if not Path(path).is_file()]
        if lacking:
            raise MissingFileError(lacking[0], f'a file to go with {sample[first]}')
        samples.append(sample)
    return samples
