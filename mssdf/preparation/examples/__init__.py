"""Small data sets in the layouts of the public ones, made from the imagery that ships.

The images are real; most labels are derived from heights and colors by the rules in this package.
They demonstrate the full pipeline; they are not a benchmark.
"""

from .layouts import LAYOUTS, make_examples

__all__ = ['LAYOUTS', 'make_examples']
