"""One resampling that stands for pad, jitter, scale, rotate, jitter."""

from __future__ import annotations

import numpy as np
import pytest

from atlas.featurevis import transforms as t
from atlas.model.graph.backend import tf as tensorflow

tf = tensorflow.compat.v1
STILL = t.Draw((4, 4), 1.0, 0.0, (2, 2))


def resampled(image: np.ndarray, frame: t.Frame, drawn: t.Draw) -> np.ndarray:
    """The view of one image [h, w], through the TensorFlow op."""
    indices, values = t.resampling(frame, drawn)
    with tf.Graph().as_default(), tf.Session() as session:
        view = t.transformed(tf.constant(image[None, None]), frame, indices=indices, values=values)
        return session.run(view)[0, :, :, 0]


def picture(h: int, w: int) -> np.ndarray:
    return np.random.default_rng(h).uniform(size=(h, w)).astype(np.float32)


def test_without_turning_it_is_a_crop_of_the_padded_image() -> None:
    """Offsets alone give exactly the padded image, cropped at their sum."""
    image = picture(10, 14)
    (frame,) = t.frames((10, 14), None)
    drawn = t.Draw((3, 8), 1.0, 0.0, (4, 0))
    padded = np.pad(image, t.PAD_PX, constant_values=0.5)
    np.testing.assert_allclose(resampled(image, frame, drawn), padded[7 : 7 + 22, 8 : 8 + 26], atol=1e-6)


def test_a_window_is_a_part_of_the_whole() -> None:
    """A frame with an origin and a smaller view gives that part of the whole frame's view."""
    image = picture(10, 14)
    (frame,) = t.frames((10, 14), None)
    drawn = t.Draw((3, 8), 0.94, 0.1, (4, 0))
    part = t.Frame(frame.size, frame.net, (5, 4), (6, 9), frame.scales)
    whole = resampled(image, frame, drawn)
    np.testing.assert_allclose(resampled(image, part, drawn), whole[6:11, 9:13], atol=1e-6)


def test_turns_about_the_middle() -> None:
    """A turned disc stays where it is; a turned ramp has its slope turned."""
    h, w = 21, 21
    (frame,) = t.frames((h, w), None)
    x = np.mgrid[:h, :w][1].astype(np.float32)
    turned = resampled(0.5 + 0.01 * (x - 10), frame, t.Draw((4, 4), 1.0, 0.1, (2, 2)))
    grad_y, grad_x = np.gradient(turned[12:20, 12:20])
    np.testing.assert_allclose(grad_x, 0.01 * np.cos(0.1), atol=1e-4)
    np.testing.assert_allclose(grad_y, 0.01 * np.sin(0.1), atol=1e-4)
    assert turned[16, 16] == pytest.approx(0.5, abs=1e-4)


def test_larger_scales_enlarge() -> None:
    """At scale 1.1 a ramp rises more slowly, by 1 / 1.1."""
    (frame,) = t.frames((40, 40), None)
    x = np.mgrid[:40, :40][1].astype(np.float32)
    view = resampled(0.01 * x, frame, t.Draw((4, 4), 1.1, 0.0, (2, 2)))
    slope = np.diff(view[20, 20:30]).mean()
    assert slope == pytest.approx(0.01 * 56 / int(1.1 * 56), rel=1e-3)


def test_draws_depend_on_seed_and_step_alone() -> None:
    """The same seed and step give the same transform; other steps and seeds give others."""
    assert t.draw(seed=1, step=5) == t.draw(seed=1, step=5)
    assert len({t.draw(seed=s, step=n) for s in range(3) for n in range(50)}) == 150


def test_draws_cover_lucids_ranges() -> None:
    """Scales, angles and offsets are all reached, and nothing beyond them."""
    draws = [t.draw(seed=0, step=n) for n in range(2000)]
    assert {d.scale for d in draws} == set(t.SCALES)
    assert max(d.angle for d in draws) == pytest.approx(np.deg2rad(10))
    assert {d.first[0] for d in draws} == set(range(9))
    assert {d.last[1] for d in draws} == set(range(5))


class TestFrames:
    def test_every_scale_has_one_frame(self) -> None:
        """The frames of a layer share the scales among them."""
        frames = t.frames((100, 90), (16, 16))
        assert sorted(s for f in frames for s in f.scales) == sorted(t.SCALES)
        assert len(frames) > 1

    def test_scales_of_a_frame_have_as_many_positions(self) -> None:
        """A layer has as many positions, and with them the same centre, as in Lucid's input at each scale."""
        for frame in t.frames((100, 90), (16, 8)):
            shape = [-(-n // s) for n, s in zip(frame.net, (16, 8), strict=True)]
            for scale in frame.scales:
                net = t.net_size((100, 90), scale)
                assert [-(-n // s) for n, s in zip(net, (16, 8), strict=True)] == shape

    def test_without_positions_one_frame_serves_all(self) -> None:
        """An objective over all positions needs one frame, of Lucid's mean input size."""
        (frame,) = t.frames((60, 60), None)
        assert frame.net == (72, 72)
