"""The page that a run leaves behind: one file, without any request to elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pybridge.errors import DataError
from pybridge.report.content import Prediction, ReportData
from pybridge.report.curves import curves
from pybridge.report.markup import NONE, facts, jpeg, name, number, percent, table, text, write_page
from pybridge.report.matrix import matrix
from pybridge.report.metrics import Metrics, check_confusion, metrics_from_confusion

MAX_WRONG_SHOWN = 300
MAX_RIGHT_SHOWN = 300

# The browser itself enforces that nothing is loaded from elsewhere.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


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
    sections = [
        _headline(data, metrics),
        _section("Training", curves(data.history, data.best_epoch)),
        _section("Classes", _classes(data.class_names, metrics)),
        _section("Confusion matrix", matrix(confusion, data.class_names, shown)),
        _section("Images", _gallery(shown, data.class_names, note), "images"),
        _section("Parity", _parity(data.parity)) if data.parity is not None else "",
        _section("Settings", facts(data.settings)) if data.settings else "",
    ]
    files = resources.files("pybridge.report")
    style, script = (files.joinpath(file).read_text("utf-8") for file in ("report.css", "report.js"))
    versions = " · ".join(f"{text(key)} {text(value)}" for key, value in data.versions.items())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(data.title)} · pybridge report</title>\n<style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(section for section in sections if section)
        + f"\n</main>\n<footer>{versions}</footer>\n<script>\n{script}</script></body></html>\n"
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


def _section(title: str, content: str, anchor: str = "") -> str:
    identity = f' id="{anchor}"' if anchor else ""
    return f"<section{identity}><h2>{title}</h2>{content}</section>"


def _headline(data: ReportData, metrics: Metrics) -> str:
    total = int(metrics.support.sum())
    low, high = metrics.accuracy_interval
    figures = [
        ("accuracy", percent(metrics.accuracy), f"95 % interval {percent(low)} to {percent(high)}"),
        ("balanced accuracy", percent(metrics.balanced_accuracy), "mean of the classes' recalls"),
        ("macro F1", f"{metrics.macro_f1:.3f}", "mean of the classes' F1"),
        ("always the commonest class", percent(metrics.majority), "what guessing would reach"),
    ]
    tiles = "".join(
        f'<div class="tile"><dt>{label}</dt><dd>{value}</dd><dd class="note">{note}</dd></div>' for label, value, note in figures
    )
    kept = f", epoch {data.best_epoch} of {len(data.history)} kept" if data.best_epoch is not None else ""
    return (
        f"<header><h1>{name(data.title)}</h1><p>{len(data.class_names)} classes, {total:,} held-out images{kept}</p>"
        f'<dl class="tiles">{tiles}</dl></header>'
    )


def _classes(names: Sequence[str], metrics: Metrics) -> str:
    most = max(int(metrics.support.max()), 1)
    rows = []
    for i, class_name in enumerate(names):
        support = int(metrics.support[i])
        bar = f'<b class="track"><i class="bar" style="width:{100 * support / most:.1f}%"></i></b>'
        shares = (metrics.precision[i], metrics.recall[i], metrics.f1[i])
        cells = [f'<td data-value="{share:.6f}">{percent(float(share))}</td>' for share in shares]
        rows.append(
            [
                name(class_name),
                *cells,
                f'<td class="balance" data-value="{support}"><div><span>{support:,}</span>{bar}</div></td>',
            ]
        )
    head = ["class", "precision", "recall", "F1", "held-out images"]
    return table(head, rows, attributes='class="classes" data-sortable')


def _gallery(shown: Sequence[Prediction], names: Sequence[str], note: str) -> str:
    figures = []
    for prediction in shown:
        true, said = names[prediction.true], names[prediction.predicted]
        right = prediction.true == prediction.predicted
        alt = text(f"{prediction.source}: {said}, truly {true}")
        picture = (
            f'<img loading="lazy" src="{jpeg(prediction.thumbnail)}" alt="{alt}">'
            if prediction.thumbnail
            else '<div class="missing">no picture</div>'
        )
        verdict = f"<b>{name(true)}</b>" if right else f"{name(true)} → <b>{name(said)}</b>"
        figures.append(
            f'<figure data-true="{prediction.true}" data-said="{prediction.predicted}"{" hidden" if right else ""}>'
            f'{picture}<figcaption>{verdict}<span class="odds">{percent(prediction.probability)}</span>'
            f'<span class="file" title="{text(prediction.source)}">{name(_short(prediction.source))}</span>'
            "</figcaption></figure>"
        )
    controls = (
        '<p class="controls" hidden><button type="button" id="all-wrong">All wrong predictions</button> '
        '<button type="button" id="turn">Least confident first</button></p>'
        if figures
        else ""
    )
    note = text(f"{note} Written: true class → what the model said." if figures else note)
    about = f'<p id="about" role="status" data-default="{note}">{note}</p>'
    return f'{about}{controls}<div class="gallery" id="gallery">{"".join(figures)}</div>'


def _short(source: str) -> str:
    return source.replace("\\", "/").rsplit("/", 1)[-1] or source


def _parity(parity: Mapping[str, Any]) -> str:
    parts = []
    if "passed" in parity:
        passed = bool(parity["passed"])
        word = "All runtimes agree." if passed else "The runtimes do not agree."
        parts.append(f'<p class="verdict {"good" if passed else "bad"}">{"✓" if passed else "✗"} {word}</p>')
    runtimes = parity.get("runtimes")
    if isinstance(runtimes, Mapping) and all(isinstance(each, Mapping) for each in runtimes.values()):
        columns = list(dict.fromkeys(key for each in runtimes.values() for key in each))
        rows = [[name(key), *(_value(column, each.get(column)) for column in columns)] for key, each in runtimes.items()]
        if rows:
            parts.append(table(["runtime", *(text(column.replace("_", " ")) for column in columns)], rows))
    rest = {key: value for key, value in parity.items() if key not in ("passed", "runtimes")}
    return "".join(parts) + (facts(rest) if rest else "")


def _value(column: str, value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.endswith(("agreement", "accuracy")) and isinstance(value, int | float):
        return percent(float(value), 2)
    return number(value)
