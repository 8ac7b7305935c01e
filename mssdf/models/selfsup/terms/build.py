"""The loss terms that a config asks for, and their heads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mssdf.errors import ConfigError, Words
from mssdf.structures import MaskedBatch
from mssdf.utils.options import parse_options

from ..forward import Forward
from ..pairwise import PairwiseOptions
from ..units import modality_units, warn_of_absent
from .base import LossTerm, ModelShape, Needs
from .discrimination import DiscriminationOptions, DiscriminationTerm
from .instance import InstanceOptions, InstanceTerm
from .modality import ModalityTerm
from .pairs import PairwiseTerm
from .pixels import PixelOptions, PixelTerm
from .reconstruction import ReconstructionTerm

# names on the model, which are keys of checkpoints
HEADS = (
    'pixel_head',
    'modality_head',
    'align_head',
    'instance_head',
    'patch_projection',
    'patch_head',
)


@dataclass(frozen=True)
class TermOptions:
    """Options of all loss terms.

    Attributes:
        pairwise: options of L_align and L_hsic.
        instance: options of L_inst.
        discrimination: options of L_disc.
        pixels: options of L_pix.
    """

    pairwise: PairwiseOptions
    instance: InstanceOptions
    discrimination: DiscriminationOptions
    pixels: PixelOptions


def parse_term_options(
    pairwise: Mapping | None,
    instance: Mapping | None,
    discrimination: Mapping | None,
    pixel_target: Mapping | None,
    pixel_floor: Mapping | None,
) -> TermOptions:
    """Read the options of all loss terms from the arguments of :class:`~mssdf.models.MSSDF`.

    Args:
        pairwise: options of L_align and L_hsic by name; None takes the defaults.
        instance: options of L_inst by name; None takes the defaults.
        discrimination: options of L_disc by name; None takes the defaults.
        pixel_target: target of L_pix by modality, ``'normalized'`` or ``'raw'``; None takes
            ``'normalized'`` for all.
        pixel_floor: smallest standard deviation of a patch by modality, in the modality's own
            unit; None has none.

    Returns:
        The options, checked.

    Raises:
        ValueError: for an unknown option or a wrong value.
    """
    return TermOptions(
        parse_options(PairwiseOptions, 'pairwise', pairwise),
        parse_options(InstanceOptions, 'instance', instance),
        parse_options(DiscriminationOptions, 'discrimination', discrimination),
        PixelOptions(pixel_target or {}, pixel_floor or {}),
    )


def build_terms(
    weights: Mapping[str, float], options: TermOptions, preprocessor: Any
) -> tuple[LossTerm, ...]:
    """Build the terms whose weight is above 0.

    Args:
        weights: weight of every term.
        options: options of all terms.
        preprocessor: data preprocessor; a second view that no term looks at is switched off.

    Returns:
        The terms, in the order in which their heads draw their initial weights.

    Raises:
        ValueError: for terms that need more modalities or views than there are.
    """
    modalities = preprocessor.modalities
    warn_of_absent('pixel_target', options.pixels.target, modalities)
    warn_of_absent('pixel_floor', options.pixels.floor, modalities)
    warn_of_absent('pairwise.flat', options.pairwise.flat, modalities)

    units = modality_units(modalities)
    pairs = [name for name in ('align', 'hsic') if weights[name] > 0 and len(modalities) > 1]
    terms: list[LossTerm] = []
    if weights['rec'] > 0:
        terms.append(ReconstructionTerm())
    if weights['pix'] > 0:
        terms.append(PixelTerm(options.pixels, units))
    if weights['cls'] > 0:
        terms.append(ModalityTerm())
    if pairs:
        terms.append(PairwiseTerm(tuple(pairs), options.pairwise, units))
    if weights['inst'] > 0:
        terms.append(InstanceTerm(options.instance))
    if weights['disc'] > 0:
        terms.append(DiscriminationTerm(options.discrimination))

    if not terms:
        found = {name: weight for name, weight in weights.items() if weight}
        raise ConfigError(
            'losses',
            'a term that one modality alone can have',
            Words(f'{found} for {tuple(modalities)}'),
        )
    _check_views(terms, preprocessor)
    return tuple(terms)


def _check_views(terms: Sequence[LossTerm], preprocessor: Any) -> None:
    if not Needs.of(terms).second_view:
        preprocessor.second_view = None  # no term looks at it
    elif len(preprocessor.modalities) < 2 and not preprocessor.second_view:
        raise ConfigError(
            'losses.inst',
            'several modalities or data_preprocessor.second_view',
            Words('neither'),
        )


def add_heads(model: Any, terms: Sequence[LossTerm]) -> None:
    """Build the heads of the loss terms on the model, under the names that checkpoints have.

    Args:
        model: :class:`~mssdf.models.MSSDF` with its decoders.
        terms: loss terms, in the order of their initial draws.
    """
    decoder = model.modality_decoder
    shape = ModelShape(
        width=model.backbone.embed_dims,
        decoded=0 if decoder is None else decoder.embed_dims,
        channels=model.data_preprocessor.channels,
        modalities=model.modalities,
        patch_size=model.patch_size,
    )
    for name in HEADS:
        setattr(model, name, None)
    for term in terms:
        for name, head in term.build_heads(shape).items():
            setattr(model, name, head)


def reconstruct(
    terms: Sequence[LossTerm], forward: Forward, batch: MaskedBatch
) -> dict[str, Tensor] | None:
    """Put predicted pixels into the windows (B, C, H, W); None without L_pix."""
    for term in terms:
        if isinstance(term, PixelTerm):
            return term.reconstruct(forward, batch)
    return None
