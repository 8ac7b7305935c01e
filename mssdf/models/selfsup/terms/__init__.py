"""The loss terms of section 6 of method.md, one object each."""

from .base import LossTerm, ModelShape, Needs, WindowTerm, total
from .build import TermOptions, add_heads, build_terms, parse_term_options, reconstruct
from .discrimination import DiscriminationOptions, DiscriminationTerm
from .instance import InstanceOptions, InstanceTerm
from .modality import ModalityTerm
from .pairs import PairwiseTerm
from .pixels import PixelOptions, PixelTerm
from .reconstruction import ReconstructionTerm

__all__ = [
    'DiscriminationOptions',
    'DiscriminationTerm',
    'InstanceOptions',
    'InstanceTerm',
    'LossTerm',
    'ModalityTerm',
    'ModelShape',
    'Needs',
    'PairwiseTerm',
    'PixelOptions',
    'PixelTerm',
    'ReconstructionTerm',
    'TermOptions',
    'WindowTerm',
    'add_heads',
    'build_terms',
    'parse_term_options',
    'reconstruct',
    'total',
]
