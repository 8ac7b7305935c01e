"""Imported by the configs of detection: one clear line where mmcv has no compiled ops.

Without this, a run fails somewhere inside a model or its loss, by the name of an op.
"""

from mssdf.utils.compiled_ops import require_compiled_ops

require_compiled_ops()
