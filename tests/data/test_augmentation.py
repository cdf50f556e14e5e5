import json
import math

import numpy as np
import pytest

from pybridge.data import Augmentation
from pybridge.errors import DataError


def test_view_zero_is_the_picture_itself_and_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    boxes, flips = Augmentation(brightness=0.2).sample(5, 0, rng)
    assert boxes.tolist() == [[0, 0, 1, 1]] * 5
    assert not flips.any()
    assert Augmentation(brightness=0.2).sample_brightness(5, 0, rng).tolist() == [1.0] * 5
    assert rng.random() == np.random.default_rng(0).random()


def test_crops_lie_inside_and_keep_area_and_proportions_in_bounds() -> None:
    boxes, flips = Augmentation(min_crop_area=0.5, max_aspect=1.25).sample(5000, 1, np.random.default_rng(1))
    top, left, bottom, right = boxes.T.astype(np.float64)
    assert boxes.dtype == np.float32
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    area, aspect = (bottom - top) * (right - left), (right - left) / (bottom - top)
    # A side that would leave the picture is cut, which costs at most the factor max_aspect ** 0.5 of the area.
    assert 0.5 / math.sqrt(1.25) - 1e-6 <= area.min() <= area.max() <= 1
    assert 1 / 1.25 - 1e-6 <= aspect.min() < 0.85
    assert 1.2 < aspect.max() <= 1.25 + 1e-6
    assert 0.45 < flips.mean() < 0.55


def test_the_same_chance_gives_the_same_views() -> None:
    one, two = (Augmentation().sample(9, 2, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])


def test_flipping_cropping_and_brightness_can_be_switched() -> None:
    still = Augmentation(flip=False, min_crop_area=1, max_aspect=1)
    boxes, flips = still.sample(20, 3, np.random.default_rng(0))
    np.testing.assert_allclose(boxes, [[0, 0, 1, 1]] * 20)
    assert not flips.any()
    factors = Augmentation(brightness=0.3).sample_brightness(1000, 1, np.random.default_rng(0))
    assert 0.7 <= factors.min() < 0.75 < 1.25 < factors.max() <= 1.3


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, None),
        (False, None),
        (0, None),
        (1, None),
        (True, Augmentation()),
        (6, Augmentation(views=6)),
        ({"flip": False}, Augmentation(flip=False)),
        (Augmentation(views=1), None),
        (Augmentation(views=2), Augmentation(views=2)),
    ],
)
def test_users_may_say_it_briefly(given: object, meant: Augmentation | None) -> None:
    assert Augmentation.parse(given) == meant  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        -1,
        10**6,
        2.5,
        "yes",
        {"rotate": 10},
        {"views": 0},
        {"flip": 1},
        {"min_crop_area": 0},
        {"max_aspect": 0.5},
        {"max_aspect": math.nan},
        {"brightness": 1.0},
        {1: 2},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: object) -> None:
    with pytest.raises(DataError, match="augment"):
        Augmentation.parse(wrong)  # type: ignore[arg-type]


def test_survives_json() -> None:
    given = Augmentation(3, False, 0.7, 1.5, 0.1)
    assert Augmentation.from_dict(json.loads(json.dumps(given.to_dict()))) == given
