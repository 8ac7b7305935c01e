"""Weights of the loss terms (method.md, section 6)."""

import math

from mssdf.errors import ConfigError, UnknownKeyError

TERMS = ('rec', 'align', 'hsic', 'cls', 'pix', 'inst', 'disc')
# the order in which terms are summed, of which the rounding depends
SUMMED = ('rec', 'pix', 'disc', 'cls', 'align', 'hsic', 'inst')
PAPER = dict(rec=1.0, align=0.5, hsic=0.2, cls=0.1, pix=0.0)


def parse_loss_weights(weights: dict[str, float] | None) -> dict[str, float]:
    """Read the weights of a config.

    Args:
        weights: weight of each term that is wanted; None takes the paper's.

    Returns:
        Weight of every term of ``TERMS``; a term of weight 0 is not computed.

    Raises:
        KeyError: for an unknown term.
        ValueError: if all weights are 0, or one is negative or not finite.
    """
    weights = weights or PAPER
    unknown = set(weights) - set(TERMS)
    if unknown:
        raise UnknownKeyError('losses', f'keys among {TERMS}', sorted(unknown))
    if not all(0 <= weight < math.inf for weight in weights.values()):
        raise ConfigError('losses', 'finite weights of at least 0', weights)
    if not any(weights.values()):
        raise ConfigError('losses', 'at least one weight above 0', weights)
    return {name: float(weights.get(name, 0)) for name in TERMS}


def refuse_ramps(ramps: dict | None) -> None:
    """Refuse the ramps of an earlier version's config, unless there are none.

    Raises:
        ValueError: if there are ramps; it says what replaces them.
    """
    wanted = {name: ramp for name, ramp in (ramps or {}).items() if ramp is not None}
    if wanted:
        name, ramp = next(iter(wanted.items()))
        raise ConfigError(
            'ramps', f'default_hooks.schedules.losses.{name}={ramp} in its place', wanted
        )
