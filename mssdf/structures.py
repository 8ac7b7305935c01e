"""Batches that the data preprocessor hands to the algorithm."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class MaskedBatch:
    """A batch of windows, normalized and masked, on the training device.

    B windows, N = grid[0] * grid[1] patches; every dictionary has one entry per modality, in the
    order of the config. A modality that a window lacks has no valid patch there.

    Attributes:
        images: normalized values (B, C_m, H, W), zero where invalid.
        pixel_valid: validity of each pixel, (B, 1, H, W) bool, true at pixels with data.
        patch_valid: validity of each patch, (B, N) bool, true at patches with enough valid pixels.
        masks: masks (B, N) bool, true where the patch is hidden from the student.
        score: information score (B, N), summed over the modalities present; 0 in training with
            equal weights, which do not use it.
        num_visible: largest number of visible patches of any window, known on the host.
        num_hidden: largest number of masked, valid patches of any window, known on the host.
        ragged: whether some window may have fewer visible patches than ``num_visible``.
        same_masks: whether one mask was drawn for all modalities.
        grid: numbers of rows and columns of patches.
        noise: random numbers (B, N) in 0...1 from which the pairwise terms draw their locations;
            None lets them draw by themselves.
        second: another view of the same windows (other masks or another part); None unless the data
            preprocessor makes it.
    """

    images: dict[str, Tensor]
    pixel_valid: dict[str, Tensor]
    patch_valid: dict[str, Tensor]
    masks: dict[str, Tensor]
    score: Tensor
    num_visible: dict[str, int]
    num_hidden: dict[str, int]
    ragged: dict[str, bool]
    grid: tuple[int, int]
    noise: Tensor | None = None
    second: 'MaskedBatch | None' = None
    same_masks: bool = False

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of the config."""
        return tuple(self.images)

    @property
    def batch_size(self) -> int:
        """Number of windows."""
        return self.score.shape[0]

    @property
    def num_seen(self) -> int:
        """Largest number of locations that are visible in some modality of a window."""
        counts = self.num_visible.values()
        return min(self.score.shape[1], max(counts) if self.same_masks else sum(counts))

    @property
    def num_unseen(self) -> int:
        """Largest number of locations that are masked and valid in some modality of a window."""
        counts = self.num_hidden.values()
        return min(self.score.shape[1], max(counts) if self.same_masks else sum(counts))

    def present(self, modality: str) -> Tensor:
        """Find the windows that have a modality, as (B,) bool."""
        return self.patch_valid[modality].any(dim=1)
