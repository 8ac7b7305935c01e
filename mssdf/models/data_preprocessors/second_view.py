"""A second view of the same windows, for the loss between views (method.md, section 6)."""

from dataclasses import dataclass, fields, replace

from torch import Tensor

from mssdf.errors import ConfigError

from ..masking import valid_patches
from ..utils.crops import crop, crop_parameters, source_points
from ..utils.draws import Source


@dataclass
class Windows:
    """A batch of windows on the device, before they are scored and normalized.

    Attributes:
        images: values (B, C_m, H, W) of each modality.
        valid: (B, 1, H, W) bool, true at pixels with data.
        patch_valid: (B, N) bool, true at patches with enough valid pixels.
        complete: whether every pixel of the modality is valid in every window.
        num_visible: length of each modality's sequence.
        ragged: whether windows may differ in their number of visible patches.
        grid: rows and columns of patches.
    """

    images: dict[str, Tensor]
    valid: dict[str, Tensor]
    patch_valid: dict[str, Tensor]
    complete: dict[str, bool]
    num_visible: dict[str, int]
    ragged: dict[str, bool]
    grid: tuple[int, int]


@dataclass(frozen=True)
class SecondView:
    """Settings of another view of the same windows.

    Args:
        kind: ``'masking'``: other masks of the same window; ``'crop'``: a random part of it,
            turned and flipped, brought back to the window's size and masked.
        scale: smallest and largest area of the part, as shares of the window's.

    Raises:
        ValueError: for another kind or a scale outside 0...1.
    """

    kind: str = 'masking'
    scale: tuple[float, float] = (0.4, 1.0)

    def __post_init__(self) -> None:
        if self.kind not in ('masking', 'crop'):
            raise ConfigError('second_view.kind', "'masking' or 'crop'", self.kind)
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ConfigError('second_view.scale', '0 < smallest <= largest <= 1', self.scale)


def parse_second_view(settings: dict | None) -> SecondView | None:
    """Read the config's ``second_view``; None switches it off.

    Raises:
        ValueError: for an unknown key or a wrong value.
    """
    if settings is None:
        return None
    known = [field.name for field in fields(SecondView)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ConfigError('second_view', f'keys among {known}', unknown)
    return SecondView(**settings)


def crop_windows(
    windows: Windows,
    scale: tuple[float, float],
    patch_size: int,
    max_invalid: float,
    source: Source,
) -> Windows:
    """Cut a random part out of each window, turn it and bring it back to the window's size.

    Heights are still absolute: what is relative to a window's median becomes relative to the
    part's own when it is normalized.

    Args:
        windows: windows on the device.
        scale: smallest and largest area of a part, as shares of the window's.
        patch_size: side of a patch in pixels.
        max_invalid: largest share of invalid pixels of a patch that still counts.
        source: source of randomness.

    Returns:
        Windows of the same size.
    """
    some = next(iter(windows.images.values()))
    size = (some.shape[-2], some.shape[-1])
    parts = crop_parameters(len(some), size, some.device, source, scale)
    points = source_points(parts, size)

    images, valid = {}, {}
    for name, image in windows.images.items():
        known = None if windows.complete[name] else windows.valid[name]
        images[name], known = crop(image, known, points)
        valid[name] = windows.valid[name] if known is None else known

    # what is valid of a part is known on the device alone, and asking it would wait for it
    ragged, num_visible = windows.ragged, windows.num_visible
    if not all(windows.complete.values()):
        ragged = dict.fromkeys(images, True)
        num_visible = dict.fromkeys(images, max(num_visible.values()))
    return replace(
        windows,
        images=images,
        valid=valid,
        patch_valid={
            name: valid_patches(known, patch_size, max_invalid) for name, known in valid.items()
        },
        num_visible=num_visible,
        ragged=ragged,
    )
