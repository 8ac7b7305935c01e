"""A linear layer that starts at zero."""

from torch import nn


class ZeroLinear(nn.Linear):
    """A linear layer whose weights and biases start at zero.

    A random head predicts noise of the size of its normalized input. The fastest descent is then
    to silence that input, and the gradient of all before it is gone (method.md, section 6).
    """

    def reset_parameters(self) -> None:
        """Set weights and biases to zero."""
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def init_weights(self) -> None:
        """Set weights and biases to zero."""
        self.reset_parameters()
