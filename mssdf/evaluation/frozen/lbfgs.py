"""Limited-memory BFGS for many small convex problems at once."""

from collections.abc import Callable

import torch
from torch import Tensor

Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

ARMIJO = 1e-4  # smallest share of the expected decrease that a step must reach
HALVINGS = 20  # largest number of halvings in one line search


def minimize(
    objective: Objective,
    start: Tensor,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
    memory: int = 10,
) -> Tensor:
    """Minimize P independent smooth convex functions of n variables each.

    All problems take their steps together, so that one matrix product serves them all. Each has its
    own history and step length; finished ones leave the batch.

    Args:
        objective: function of points (p, n) and of the problems' indices (p,) that returns their
            values (p,) and gradients (p, n).
        start: first points (P, n).
        tolerance: largest absolute gradient at which a problem is finished.
        max_iterations: largest number of steps.
        memory: number of past steps that approximate the curvature.

    Returns:
        Minima (P, n).
    """
    solution = start.clone()
    which = torch.arange(len(start), device=start.device)
    point = start.clone()
    value, gradient = objective(point, which)
    steps, changes = (point.new_zeros(memory, *point.shape) for _ in range(2))

    for iteration in range(max_iterations):
        busy = gradient.abs().amax(dim=1) > tolerance

        # Copying to a smaller batch pays off when a quarter of the problems is done.
        if busy.sum() <= 0.75 * len(which):
            solution[which] = point
            if not busy.any():
                return solution
            which, point, value, gradient = (x[busy] for x in (which, point, value, gradient))
            steps, changes = steps[:, busy], changes[:, busy]

        direction = _direction(gradient, steps, changes)
        moved, new_value, new_gradient = _search(
            objective, point, value, gradient, direction, which, first=iteration == 0
        )
        slot = iteration % memory
        steps = torch.cat([steps[1:], (moved - point)[None]])
        changes = torch.cat([changes[1:], (new_gradient - gradient)[None]])
        still = torch.equal(moved, point)
        point, value, gradient = moved, new_value, new_gradient
        if still and slot == 0:  # rounding prevents a further decrease
            break

    solution[which] = point
    return solution


def _direction(gradient: Tensor, steps: Tensor, changes: Tensor) -> Tensor:
    """Compute descent directions by the two-loop recursion (Nocedal and Wright, algorithm 7.4).

    Empty history is skipped.
    """
    curvature = (steps * changes).sum(dim=2)  # (memory, P)
    known = curvature > 1e-10 * changes.square().sum(dim=2).clamp(min=1e-30)
    inverse = torch.where(known, 1 / torch.where(known, curvature, 1.0), 0.0)
    direction = -gradient
    shares = []
    for step, change, rho in zip(
        reversed(steps), reversed(changes), reversed(inverse), strict=True
    ):
        share = rho * (step * direction).sum(dim=1)
        direction = direction - share[:, None] * change
        shares.append(share)

    scale = torch.ones_like(gradient[:, 0])
    for pair in range(len(steps)):  # the latest known pair gives the scale
        norm = changes[pair].square().sum(dim=1).clamp(min=1e-30)
        scale = torch.where(known[pair], curvature[pair] / norm, scale)
    direction = direction * scale[:, None]

    for step, change, rho, share in zip(steps, changes, inverse, reversed(shares), strict=True):
        back = rho * (change * direction).sum(dim=1)
        direction = direction + (share - back)[:, None] * step
    return direction


def _search(
    objective: Objective,
    point: Tensor,
    value: Tensor,
    gradient: Tensor,
    direction: Tensor,
    which: Tensor,
    first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Halve the step of each problem until its value falls enough; keep the point if none does."""
    slope = (direction * gradient).sum(dim=1)
    uphill = slope >= 0
    if uphill.any():
        direction = torch.where(uphill[:, None], -gradient, direction)
        slope = torch.where(uphill, -gradient.square().sum(dim=1), slope)
    length = torch.ones_like(value)
    if first:
        length = (1 / gradient.norm(dim=1).clamp(min=1e-30)).clamp(max=1.0)

    best, best_value, best_gradient = point, value, gradient
    open_ones = torch.ones_like(value, dtype=torch.bool)
    for _ in range(HALVINGS):
        index = open_ones.nonzero().flatten()
        tried = point[index] + length[index, None] * direction[index]
        new_value, new_gradient = objective(tried, which[index])
        # Near the minimum a real decrease is lost in rounding, so an equal value is accepted.
        slack = value[index].abs() * torch.finfo(value.dtype).eps
        good = new_value <= value[index] + ARMIJO * length[index] * slope[index] + slack
        taken = index[good]
        if len(taken) == len(point):
            return tried, new_value, new_gradient
        best = best.index_copy(0, taken, tried[good])
        best_value = best_value.index_copy(0, taken, new_value[good])
        best_gradient = best_gradient.index_copy(0, taken, new_gradient[good])
        open_ones[taken] = False
        if not open_ones.any():
            break
        length = torch.where(open_ones, length / 2, length)
    return best, best_value, best_gradient
