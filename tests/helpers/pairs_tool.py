"""The tool that builds pairs, called in this process like on the command line."""

import importlib.util
from functools import lru_cache
from pathlib import Path

TOOL = Path(__file__).parents[2] / 'tools/dataset_tools/build_pairs.py'
# One process, no validation, and windows small enough for small rasters.
QUICK = ['--workers', '0', '--val-share', '0', '--window', '160', '--tile', '640']


@lru_cache(maxsize=1)
def load():
    """Load the tool as a module."""
    spec = importlib.util.spec_from_file_location('build_pairs', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build_pairs(out, *arguments):
    """Run the tool with :data:`QUICK`; return its exit status."""
    return load().main([str(out), *QUICK, *map(str, arguments)])


def written(out, suffix):
    """List the paths of the files written, sorted."""
    return sorted(Path(out).glob(f'*/patch/*{suffix}'))
