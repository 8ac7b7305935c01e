"""Fingerprints of data that results and laid-out sets are bound to."""

from pathlib import Path

from mssdf.evaluation.frozen.measurement_settings import digest_of
from mssdf.utils.fingerprints import file_facts, visible_files


def fingerprint(*folders: Path) -> str:
    """Hash of the names, sizes and times of all files under some folders, hidden ones left out.

    Args:
        folders: folders of data; where they lie does not count.
    """
    return digest_of([file_facts(visible_files(folder), folder) for folder in folders])
