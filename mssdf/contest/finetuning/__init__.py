"""Fine-tuning of encoders on small tasks with few labels: ``benchmark_finetuning.py``.

``mssdf.evaluation`` does not import it.
"""

from .preparing import Prepared, prepare
from .runs import Run, RunFailedError, Stopped, run_all
from .table import Result, Row, compare, load_results, to_csv, to_markdown
from .tasks import DEFAULT_TASKS, Task, parse_task

__all__ = [
    'DEFAULT_TASKS',
    'Prepared',
    'Result',
    'Row',
    'Run',
    'RunFailedError',
    'Stopped',
    'Task',
    'compare',
    'load_results',
    'parse_task',
    'prepare',
    'run_all',
    'to_csv',
    'to_markdown',
]
