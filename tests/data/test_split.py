import numpy as np
import pytest

from pybridge.data import class_weights, stratified_split
from pybridge.errors import DataError

LABELS = np.repeat([0, 1, 2], [50, 20, 5])


def test_both_parts_have_the_mix_of_the_whole() -> None:
    train, validation = stratified_split(LABELS, 0.2, seed=0)
    assert np.bincount(LABELS[validation]).tolist() == [10, 4, 1]
    assert sorted([*train, *validation]) == list(range(75))


def test_a_seed_decides_the_split() -> None:
    first, again, other = (stratified_split(LABELS, 0.2, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_every_class_with_two_images_is_in_both_parts(fraction: float) -> None:
    labels = np.array([0, 0, 1, 1, 1, 2])
    train, validation = stratified_split(labels, fraction, seed=3)
    assert set(labels[train]) == {0, 1, 2}
    assert set(labels[validation]) == {0, 1}


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1, float("nan"), "0.2"])
def test_a_share_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="share"):
        stratified_split(LABELS, fraction, seed=0)


def test_single_images_cannot_be_parted() -> None:
    with pytest.raises(DataError, match="too few"):
        stratified_split([0, 1, 2], 0.2, seed=0)


@pytest.mark.parametrize("fraction", [0.2, 0.7])
def test_groups_stay_together(fraction: float) -> None:
    groups = np.arange(200) // 10
    labels = np.tile(np.repeat([0, 1], 5), 20)
    train, validation = stratified_split(labels, fraction, 0, groups)
    assert not set(groups[train]) & set(groups[validation])
    assert abs(len(validation) / 200 - fraction) < 0.1
    assert (np.bincount(labels[validation]) > 0).all()


def test_groups_that_take_a_whole_class_away_are_refused() -> None:
    with pytest.raises(DataError, match="group"):
        stratified_split([0, 0, 0, 1, 1, 1], 0.5, 0, groups=[0, 0, 0, 1, 1, 1])
    with pytest.raises(DataError, match="shape"):
        stratified_split([0, 1], 0.5, 0, groups=[0])


def test_balanced_weights_give_each_class_the_same_total() -> None:
    weights = class_weights(LABELS, 3, "balanced")
    assert weights is not None
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights * np.bincount(LABELS), 25)


def test_weights_by_name_or_number_leave_the_others_at_one() -> None:
    assert class_weights(LABELS, 3, None) is None
    by_name = class_weights(LABELS, 3, {"b": 2.5, 2: 0}, ["a", "b", "c"])
    assert by_name is not None
    assert by_name.tolist() == [1.0, 2.5, 0.0]


@pytest.mark.parametrize("spec", ["equal", {3: 1.0}, {-1: 1.0}, {"z": 1.0}, {0: -1}, {0: float("nan")}, {0: "2"}, [1, 2, 3]])
def test_weights_that_make_no_sense_are_refused(spec: object) -> None:
    with pytest.raises(DataError, match="class_weight"):
        class_weights(LABELS, 3, spec)  # type: ignore[arg-type]
