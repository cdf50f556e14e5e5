import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support

from pybridge.errors import DataError
from pybridge.report import metrics_from_confusion


def test_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    true, said = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    metrics = metrics_from_confusion(confusion_matrix(true, said))
    precision, recall, f1, support = precision_recall_fscore_support(true, said)
    np.testing.assert_allclose(metrics.precision, precision)
    np.testing.assert_allclose(metrics.recall, recall)
    np.testing.assert_allclose(metrics.f1, f1)
    assert metrics.support.tolist() == support.tolist()
    assert metrics.accuracy == pytest.approx((true == said).mean())
    assert metrics.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, said))
    assert metrics.macro_f1 == pytest.approx(f1.mean())
    assert metrics.majority == support.max() / 300


def test_classes_without_images_do_not_spoil_the_means() -> None:
    metrics = metrics_from_confusion([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert metrics.balanced_accuracy == pytest.approx((0.75 + 1) / 2)
    assert metrics.macro_f1 == pytest.approx((6 / 7 + 8 / 9) / 2)
    assert metrics.recall[2] == metrics.precision[2] == 0


def test_nothing_held_out_gives_zeros() -> None:
    metrics = metrics_from_confusion(np.zeros((2, 2), int))
    assert metrics.accuracy == metrics.macro_f1 == 0
    assert metrics.accuracy_interval == (0.0, 1.0)


def test_the_interval_is_wilsons() -> None:
    # 8 of 10: 0.4902 to 0.9433, as in R's prop.test(8, 10, correct = FALSE).
    low, high = metrics_from_confusion([[8, 2], [0, 0]]).accuracy_interval
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


@pytest.mark.parametrize("wrong", [[1, 2], [[1, 2]], [[0.5, 0], [0, 1]], [[-1, 0], [0, 1]], np.zeros((0, 0), int)])
def test_anything_but_a_square_of_counts_is_refused(wrong: object) -> None:
    with pytest.raises(DataError, match="confusion matrix"):
        metrics_from_confusion(wrong)  # type: ignore[arg-type]
