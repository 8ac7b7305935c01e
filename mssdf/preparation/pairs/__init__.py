"""Co-registered training data from rasters on different grids."""

from .boxes import CatalogError
from .build import build, forget, forgotten, lay_out
from .build_settings import (
    COMPRESSIONS,
    FORMATS,
    RESAMPLINGS,
    SUFFIXES,
    BuildSettings,
    SourceSettings,
)
from .places import find_rasters
from .plan import Plan, make_plan
from .report import describe, summarize, write_reports

__all__ = [
    'COMPRESSIONS',
    'FORMATS',
    'RESAMPLINGS',
    'SUFFIXES',
    'BuildSettings',
    'CatalogError',
    'Plan',
    'SourceSettings',
    'build',
    'describe',
    'find_rasters',
    'forget',
    'forgotten',
    'lay_out',
    'make_plan',
    'summarize',
    'write_reports',
]
