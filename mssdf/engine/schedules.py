"""Schedules of the method as pure functions of the position in training."""

import math


def staircase(position: int, start: float, increment: float, every: int, maximum: float) -> float:
    """Rise by ``increment`` every ``every`` positions, up to ``maximum`` (method.md, section 3)."""
    return min(start + increment * (position // every), maximum)


def cosine(position: int, length: int, start: float, end: float) -> float:
    """Go from ``start`` at 0 to ``end`` at ``length`` along half a cosine."""
    progress = min(max(position / max(length, 1), 0.0), 1.0)
    return end - (end - start) * (1 + math.cos(math.pi * progress)) / 2
