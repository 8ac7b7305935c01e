"""Models inside wrappers."""

from typing import Any

WRAPPED = ('module', '_orig_mod')


def unwrap(model: Any) -> Any:
    """Return the model inside its wrappers.

    Args:
        model: model as it is, or inside those of distributed training, of test-time augmentation
            (``module``) and of ``torch.compile`` (``_orig_mod``), in any order.
    """
    while True:
        name = next((name for name in WRAPPED if hasattr(model, name)), None)
        if name is None:
            return model
        model = getattr(model, name)
