"""The index that a sampler hands to a dataset: a sample and its epoch."""

from typing import NamedTuple


class SampleIndex(NamedTuple):
    """An index and the epoch it is drawn in.

    The dataset seeds everything random about a sample from (its seed, epoch, index), so that
    neither the number of workers nor what they did before matters.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    epoch: int
