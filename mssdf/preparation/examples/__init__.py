"""Small data sets in the layouts of the public ones, made of the imagery that ships.

The images are real; most labels are derived from heights and colors, by rules that stand here.
They show that everything runs, and are no benchmark.
"""

from .layouts import LAYOUTS, make_examples

__all__ = ['LAYOUTS', 'make_examples']
