"""Fingerprints of the data that results and prepared sets were made from."""

from pathlib import Path

from mssdf.evaluation.frozen.measurement_settings import digest_of
from mssdf.utils.fingerprints import file_facts, visible_files


def fingerprint(*folders: Path) -> str:
    """Hash the names, sizes and times of all files under some folders, except hidden ones.

    Args:
        folders: folders of data; their location does not affect the hash.
    """
    return digest_of([file_facts(visible_files(folder), folder) for folder in folders])
