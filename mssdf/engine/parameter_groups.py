"""Optimizers with one parameter group per distinct setting instead of one per parameter."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from mmengine.optim import OptimWrapper
from torch import nn
from torch.optim import Optimizer

from mssdf.errors import CheckpointError

# Keys that MMEngine and mmpretrain add to a group and the optimizer does not read.
NOTES = ('lr_mult', 'decay_mult', 'lr_scale', 'layer_id', 'param_name')


def settings_of(group: dict[str, Any]) -> dict[str, Any]:
    """Return what the optimizer reads from a parameter group, except the parameters."""
    return {key: value for key, value in group.items() if key not in ('params', *NOTES)}


def merge_groups(groups: Iterable[dict[str, Any]], defaults: dict[str, Any]) -> list[dict]:
    """Merge groups of equal settings; groups and parameters keep their order.

    Args:
        groups: parameter groups as a constructor makes them.
        defaults: optimizer settings for groups that lack them.

    Returns:
        One group per distinct setting.
    """
    merged: list[dict] = []
    for group in groups:
        settings = defaults | settings_of(group)
        for known in merged:
            if settings_of(known) == settings:
                known['params'].extend(group['params'])
                break
        else:
            merged.append(settings | dict(params=list(group['params'])))
    return merged


def trained_parameters(model: nn.Module) -> list[nn.Parameter]:
    """List the parameters with gradient, in the model's order."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def regroup_state(
    optimizer: Optimizer, state: dict[str, Any], order: Sequence[nn.Parameter]
) -> dict[str, Any]:
    """Convert the state of an optimizer with one group per parameter to merged groups.

    Checkpoints of earlier versions hold such states.

    Args:
        optimizer: optimizer with merged groups.
        state: state dictionary of an optimizer.
        order: trained parameters in the model's order, which is the order of the old groups.

    Returns:
        State with the optimizer's groups; ``state`` itself if it has them already.

    Raises:
        CheckpointError: if the groups fit neither way, or different learning rates would be lost.
    """
    groups = optimizer.param_groups
    sizes = [len(group['params']) for group in state['param_groups']]
    if sizes == [len(group['params']) for group in groups]:
        return state
    if sizes != [1] * len(order):
        raise CheckpointError(
            "optimizer: the checkpoint's parameter groups do not fit the model: expected groups "
            f'of {[len(group["params"]) for group in groups]} parameters, found {sizes}'
        )

    places = {parameter: place for place, parameter in enumerate(order)}
    old = {place: group for place, group in enumerate(state['param_groups'])}
    rates = {group.get('initial_lr', group['lr']) for group in old.values()}
    if len(rates) > 1:  # the schedules' states have one entry per group and cannot be merged
        raise CheckpointError(
            'optimizer: expected one learning rate in a checkpoint with one parameter group per '
            f'parameter, found {len(rates)}; finish the run with the earlier version that wrote '
            'it, or start from its weights with load_from'
        )

    regrouped: dict[str, Any] = dict(state, state={}, param_groups=[])
    for group in groups:
        members = [places[parameter] for parameter in group['params']]
        first = len(regrouped['state'])
        for number, place in enumerate(members, start=first):
            key = old[place]['params'][0]
            regrouped['state'][number] = state['state'].get(key, {})
        numbers = list(range(first, first + len(members)))
        regrouped['param_groups'].append(settings_of(old[members[0]]) | dict(params=numbers))
    regrouped['state'] = {number: each for number, each in regrouped['state'].items() if each}
    return regrouped


class MergedGroups:
    """A mixin for MMEngine's optimizer constructors that merges groups of equal settings.

    Fewer groups mean fewer kernel launches in each step. A state that was saved with one group per
    parameter is loaded too.
    """

    base_lr: float | None
    base_wd: float | None

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs: Any
    ) -> None:
        """Add the parameters of a module and its children; merge the groups at the end."""
        super().add_params(params, module, prefix=prefix, **kwargs)  # type: ignore[misc]
        if prefix == '':
            base = dict(lr=self.base_lr, weight_decay=self.base_wd)
            defaults = {key: value for key, value in base.items() if value is not None}
            params[:] = merge_groups(params, defaults)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer and its wrapper."""
        wrapper = super().__call__(model)  # type: ignore[misc]
        order = trained_parameters(model)
        wrapper.optimizer.register_load_state_dict_pre_hook(partial(_regroup, order=order))
        return wrapper


def _regroup(
    optimizer: Optimizer, state: dict[str, Any], order: Sequence[nn.Parameter]
) -> dict[str, Any]:
    return regroup_state(optimizer, state, order)
