"""Frozen features, measured as the field does: the instrument of ``eval_features.py``.

Imported by name, not by ``mssdf.evaluation``: it builds models.
"""

from .bootstrap import Interval
from .encoders import EncoderFile
from .evaluate import evaluate_encoders
from .measurement_settings import MeasurementSettings
from .sets import EvaluationSet, parse_set, resolve_sets, suite
from .table import FeatureTable, Measure, load_table, paired_differences

__all__ = [
    'EncoderFile',
    'EvaluationSet',
    'FeatureTable',
    'Interval',
    'Measure',
    'MeasurementSettings',
    'evaluate_encoders',
    'load_table',
    'paired_differences',
    'parse_set',
    'resolve_sets',
    'suite',
]
