"""Evaluation of frozen features by the usual probes; ``eval_features.py`` is its command line.

``mssdf.evaluation`` does not import it, as it builds models.
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
