import json
import math

import pytest

from pybridge.data import Preprocessing
from pybridge.errors import DataError, ModelFormatError


def test_survives_json() -> None:
    lite = Preprocessing(224, 192, "centre", 0.875, (127.0,), (128.0,))
    assert Preprocessing.from_dict(json.loads(json.dumps(lite.to_dict()))) == lite


def test_scales_to_minus_one_to_one_by_default() -> None:
    assert Preprocessing(96, 96) == Preprocessing.from_dict({"height": 96, "width": 96, "mean": [127.5], "std": [127.5]})


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"width": 10**9},
        {"height": 224.0},
        {"height": True},
        {"crop": "center"},
        {"crop_fraction": 0},
        {"crop_fraction": math.nan},
        {"mean": [1, 2]},
        {"mean": "127.5"},
        {"std": [0.0]},
        {"std": [math.inf]},
        {"colour": "bgr"},
    ],
)
def test_refuses_unusable_values(change: dict[str, object]) -> None:
    with pytest.raises(ModelFormatError, match=next(iter(change))):
        Preprocessing.from_dict({"height": 224, "width": 224, **change})


def test_refuses_missing_sizes() -> None:
    with pytest.raises(ModelFormatError, match="width"):
        Preprocessing.from_dict({"height": 224})


def test_a_users_mistake_is_a_data_error() -> None:
    with pytest.raises(DataError, match="std"):
        Preprocessing(224, 224, std=(-1.0,))
