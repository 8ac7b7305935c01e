"""The interface of a loss term: what it needs, its heads, its value."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from mssdf.structures import MaskedBatch

from ..forward import Forward


@dataclass(frozen=True)
class Needs:
    """Parts of the forward pass that loss terms look at.

    Attributes:
        decoder: whether the decoders run.
        prediction: whether the teacher's features are predicted from the decoded tokens.
        all_locations: whether all locations are decoded, visible ones too.
        apart: whether each modality is decoded by itself, with a token of its own.
        teacher: whether the teacher sees the batch.
        second_view: whether the encoder sees the second view, if there is one.
    """

    decoder: bool = False
    prediction: bool = False
    all_locations: bool = False
    apart: bool = False
    teacher: bool = False
    second_view: bool = False

    @classmethod
    def of(cls, terms: 'Iterable[LossTerm]') -> 'Needs':
        """Combine the needs of several terms."""
        needs = [term.needs for term in terms]
        return cls(*(any(getattr(one, field.name) for one in needs) for field in fields(cls)))


@dataclass(frozen=True)
class ModelShape:
    """Sizes of the model that the heads of loss terms depend on.

    Attributes:
        width: width D of the encoder.
        decoded: width of the decoders; 0 without decoders.
        channels: number of bands of each modality.
        modalities: names of the modalities, sorted.
        patch_size: side of a patch in pixels.
    """

    width: int
    decoded: int
    channels: dict[str, int]
    modalities: tuple[str, ...]
    patch_size: int


class LossTerm:
    """A loss term, or several that share their computation.

    A term is no module: its heads are registered on the model, under the names that checkpoints
    have.

    Attributes:
        names: names of the terms, as in the config and the log.
        needs: parts of the forward pass that it looks at.
    """

    names: tuple[str, ...] = ()
    needs = Needs()

    def build_heads(self, shape: ModelShape) -> dict[str, nn.Module]:
        """Build the networks that the term looks through, by their names on the model."""
        return {}

    def awake(self, weights: Mapping[str, float]) -> bool:
        """Tell whether the term is computed at the current weights.

        A term that needs the teacher sleeps while it weighs nothing: the teacher's forward pass
        is 43 % of a step. The others are logged at any weight.
        """
        return not self.needs.teacher or any(weights[name] > 0 for name in self.names)

    def compute(self, forward: Forward, batch: MaskedBatch) -> dict[str, Tensor]:
        """Compute the terms, scalars by name.

        Args:
            forward: result of the forward pass.
            batch: masked batch that it comes from.
        """
        raise NotImplementedError


class WindowTerm(LossTerm):
    """A loss term that each window has by itself."""

    def per_window(self, forward: Forward, batch: MaskedBatch) -> Tensor:
        """Compute the term of each window (B,); see :meth:`LossTerm.compute`."""
        raise NotImplementedError

    def compute(self, forward: Forward, batch: MaskedBatch) -> dict[str, Tensor]:
        """Average the term over the windows."""
        return {self.names[0]: self.per_window(forward, batch).mean()}


def total(values: Iterable[Tensor]) -> Tensor:
    """Sum tensors of one shape."""
    return torch.stack(list(values)).sum(dim=0)
