"""Check for mmcv's compiled ops, imported by the configs of detection.

Without the ops, a run would fail inside a model or its loss with the name of an op.
"""

from mssdf.utils.compiled_ops import require_compiled_ops

require_compiled_ops()
