"""The page that a run leaves behind: one file, without any request to elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import DataError
from pybridge.report.content import Prediction, ReportData
from pybridge.report.curves import curves, numbers, unit
from pybridge.report.matrix import matrix
from pybridge.report.metrics import Metrics, check_confusion, metrics_from_confusion
from pybridge.report.pages import NONE, data_address, number, percent, render_page, write_page

MAX_WRONG_SHOWN = 300
MAX_RIGHT_SHOWN = 300


def write_report(path: Path, data: ReportData) -> None:
    """Write a report that opens in any browser, offline, and prints.

    The file is replaced as a whole: a reader never sees half a report.

    Args:
        path: The HTML file; its folder must exist.
        data: What to show.

    Raises:
        DataError: Class names, confusion matrix and predictions do not fit together, or the file cannot be written.

    Example:
        ``write_report(Path("run/report.html"), ReportData("flowers", ("rose", "tulip"), history, 7, confusion))``
    """
    write_page(path, render(data))


def render(data: ReportData) -> str:
    """The report as HTML text.

    Raises:
        DataError: As `write_report`.
    """
    confusion = _check(data)
    metrics = metrics_from_confusion(confusion)
    shown, note = _choose(data.predictions, int(confusion.sum() - np.trace(confusion)))
    return render_page(
        "report.html",
        data=data,
        metrics=metrics,
        total=int(metrics.support.sum()),
        unit=unit(data.history),
        charts=curves(data.history, data.best_epoch),
        validated=any("val_loss" in entry for entry in data.history),
        numbers=numbers(data.history, data.best_epoch),
        classes=_classes(data.class_names, metrics),
        matrix=matrix(confusion, data.class_names, shown),
        pictures=shown,
        note=f"{note} Written: true class → what the model said." if shown else note,
        parity=None if data.parity is None else _parity(data.parity),
        address=data_address,
        short=_short,
    )


def _check(data: ReportData) -> NDArray[np.int64]:
    confusion = check_confusion(data.confusion)
    classes = len(data.class_names)
    if confusion.shape[0] != classes:
        raise DataError(f"the confusion matrix has {confusion.shape[0]} classes, but there are {classes} class names")
    for prediction in data.predictions:
        if not (0 <= prediction.true < classes and 0 <= prediction.predicted < classes):
            raise DataError(f"the prediction for {prediction.source} names a class beyond the {classes} that there are")
    return confusion


def _choose(predictions: Sequence[Prediction], total_wrong: int) -> tuple[list[Prediction], str]:
    ordered = sorted(predictions, key=lambda prediction: -prediction.probability)
    wrong = [prediction for prediction in ordered if prediction.true != prediction.predicted]
    right = [prediction for prediction in ordered if prediction.true == prediction.predicted]
    shown = wrong[:MAX_WRONG_SHOWN]
    if not total_wrong and not wrong:
        note = "Every held-out image was recognized."
    elif len(shown) < total_wrong:
        note = f"{len(shown)} of the {total_wrong} wrong predictions, the most confident ones first."
        note = note if shown else f"{total_wrong} images were not recognized; none was kept for showing."
    else:
        note = f"All {len(shown)} wrong predictions, the most confident ones first."
    return shown + right[:MAX_RIGHT_SHOWN], note


def _classes(names: Sequence[str], metrics: Metrics) -> list[dict[str, Any]]:
    most = max(int(metrics.support.max()), 1)
    shares = zip(metrics.precision.tolist(), metrics.recall.tolist(), metrics.f1.tolist(), strict=True)
    return [
        {"name": name, "shares": each, "support": support, "width": 100 * support / most}
        for name, each, support in zip(names, shares, metrics.support.tolist(), strict=True)
    ]


def _short(source: str) -> str:
    return source.replace("\\", "/").rsplit("/", 1)[-1] or source


def _parity(parity: Mapping[str, Any]) -> dict[str, Any]:
    runtimes = parity.get("runtimes")
    columns, rows = [], []
    if isinstance(runtimes, Mapping) and all(isinstance(each, Mapping) for each in runtimes.values()):
        columns = list(dict.fromkeys(key for each in runtimes.values() for key in each))
        rows = [[key, *(_value(column, each.get(column)) for column in columns)] for key, each in runtimes.items()]
    return {
        "passed": bool(parity["passed"]) if "passed" in parity else None,
        "columns": ["runtime", *(column.replace("_", " ") for column in columns)],
        "rows": rows,
        "rest": {key: value for key, value in parity.items() if key not in ("passed", "runtimes")},
    }


def _value(column: str, value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.endswith(("agreement", "accuracy")) and isinstance(value, int | float):
        return percent(float(value), 2)
    return number(value)
