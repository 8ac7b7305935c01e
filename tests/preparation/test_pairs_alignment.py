"""Shifts that were planted into real pairs are found."""

import numpy as np
import pairs_data as data
import pytest
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from mssdf.preparation.pairs.alignment import correlate_edges, edge_strength, estimate_shift
from mssdf.preparation.pairs.report import CLEAR_PEAK
from mssdf.preparation.pairs.tile import pack_surface, unpack_surface

REACH, SIDE = 16, 480


def surfaces(reference, known, moved, valid):
    """Correlations over tiles of a pair of arrays (C, H, W)."""
    found = []
    for row in range(0, reference.shape[1] - SIDE + 1, SIDE):
        for col in range(0, reference.shape[2] - SIDE + 1, SIDE):
            place = (slice(row, row + SIDE), slice(col, col + SIDE))
            edges = [
                edge_strength(image[:, place[0], place[1]], good[place])[0]
                for image, good in ((reference, known), (moved, valid))
            ]
            surface = correlate_edges(*edges, REACH)
            if surface is not None:
                found.append(surface)
    return found


@pytest.fixture(scope='module')
def pair():
    colors, heights, valid, _, _ = data.real_pair()
    return colors, np.ones(valid.shape, dtype=bool), heights, valid


@pytest.fixture(scope='module')
def natural(pair):
    """The shift that the real pair has: its orthophoto is none of true sides."""
    return estimate_shift(surfaces(*pair))


@pytest.mark.parametrize('planted', [(3, 0), (0, -4), (5, 3), (-6, -5), (7, -9)])
def test_planted_shifts_between_colors_and_heights_are_found(pair, natural, planted):
    colors, known, heights, valid = pair
    moved = np.roll(heights, planted, axis=(1, 2))
    shift = estimate_shift(surfaces(colors, known, moved, np.roll(valid, planted, axis=(0, 1))))
    assert shift.peak > CLEAR_PEAK and not shift.at_limit
    # ours lies on the same pixels as before, moved by what was planted
    assert shift.rows - natural.rows == pytest.approx(planted[0], abs=1.0)
    assert shift.cols - natural.cols == pytest.approx(planted[1], abs=1.0)


def test_a_shift_between_alike_images_is_that_of_scikit_image(pair):
    colors, known, _, _ = pair
    image = colors[:, 200:720, 300:820].astype(np.float32)
    moved = np.stack([ndimage.shift(band, (2.4, -3.3), order=3) for band in image])
    good = known[200:720, 300:820]
    one, other = (edge_strength(x, good)[0] for x in (image, moved))
    ours = estimate_shift([correlate_edges(one, other, REACH)])
    theirs = -phase_cross_correlation(one, other, upsample_factor=20, normalization=None)[0]
    assert (ours.rows, ours.cols) == pytest.approx((2.4, -3.3), abs=0.3)
    assert (ours.rows, ours.cols) == pytest.approx(tuple(theirs), abs=0.3)


def test_noise_has_no_clear_peak():
    rng = np.random.default_rng(0)
    good = np.ones((400, 400), dtype=bool)
    found = []
    for _ in range(4):
        one, other = (edge_strength(rng.normal(size=(1, 400, 400)), good)[0] for _ in range(2))
        found.append(correlate_edges(one, other, REACH))
    aligned = rng.normal(size=(1, 400, 400))
    edges = edge_strength(aligned, good)[0]
    clear = estimate_shift([correlate_edges(edges, edges, REACH)])
    assert estimate_shift(found).peak < clear.peak / 2


def test_empty_and_flat_images_give_nothing():
    good = np.ones((200, 200), dtype=bool)
    flat, known = edge_strength(np.full((1, 200, 200), 3.0), good)
    assert not known.any() and not flat.any()
    nothing, _ = edge_strength(np.random.default_rng(0).normal(size=(1, 200, 200)), ~good)
    assert correlate_edges(flat, nothing, REACH) is None
    assert estimate_shift([]) is None


def test_the_border_of_validity_is_no_edge(pair):
    colors, known, _, _ = pair
    image = colors[:, :400, :400].astype(np.float32)
    good = known[:400, :400].copy()
    good[100:300, 100:180] = False
    image[:, ~good] = 255
    strength, inside = edge_strength(image, good)
    assert not strength[~good].any()
    untouched = edge_strength(colors[:, :400, :400], known[:400, :400])[1]
    assert (inside <= untouched).all()


def test_packing_keeps_the_peak(pair):
    found = surfaces(*pair)
    before = estimate_shift(found)
    after = estimate_shift([unpack_surface(pack_surface(one)) for one in found])
    assert (after.rows, after.cols) == pytest.approx((before.rows, before.cols), abs=0.05)
