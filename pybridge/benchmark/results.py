"""What was measured, as files; and the part of a README that is made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pybridge.benchmark.chart import chart, page
from pybridge.benchmark.suite import FORMAT
from pybridge.benchmark.table import markdown, section
from pybridge.errors import DataError
from pybridge.report.pages import write_page

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def write_results(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes ``bench.json``, ``bench.md``, ``bench.svg`` and ``bench.html``, each as a whole, over those of an earlier run.

    Args:
        document: As `bench` gives it.
        folder: Where to; made if need be.

    Raises:
        DataError: They cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    tables = markdown(document)
    contents = {
        "bench.json": json.dumps(document, indent=2, allow_nan=False) + "\n",
        "bench.md": tables,
        "bench.svg": chart(document),
        "bench.html": page(document, tables),
    }
    for name, content in contents.items():
        write_page(folder / name, content)
    return [folder / name for name in contents]


def read_results(file: Path) -> dict[str, Any]:
    """Reads what `write_results` wrote as ``bench.json``.

    Raises:
        DataError: It is something else.
    """
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or "works" not in document:
        raise DataError(f"{file} is no result of this `pybridge bench`", hint="Measure anew with: pybridge bench --out FOLDER")
    return document


def with_section(page_text: str, document: Mapping[str, Any]) -> str:
    """A Markdown page with the figures between its two markers.

    Args:
        page_text: Has a line ``<!-- bench: begin -->`` and, below, a line ``<!-- bench: end -->``.
        document: As `bench` gives it.

    Raises:
        DataError: The markers are not there, once each and in this order.
    """
    before, begin, rest = page_text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise DataError(f"the page needs one line {BEGIN} and, below, one line {END}")
    return f"{before}{BEGIN}\n{section(document)}{END}{after}"
