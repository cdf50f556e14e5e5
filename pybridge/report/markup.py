"""Text into HTML, safely, and HTML into files."""

from __future__ import annotations

import base64
import html
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pybridge.errors import DataError

NONE = "\N{EN DASH}"
"""Stands where there is no value."""


def text(value: object) -> str:
    """Escape anything for HTML text and quoted attributes; what UTF-8 cannot hold becomes ``?``."""
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True)


def name(value: object) -> str:
    """Escape a name that users chose, and keep its direction of writing from spreading to the text around it."""
    return f"<bdi>{text(value)}</bdi>"


def percent(share: float, digits: int = 1) -> str:
    """A share from 0 to 1 in percent."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%" if math.isfinite(share) else NONE


def number(value: object) -> str:
    """A number, short; whole numbers whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text(value)
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def jpeg(data: bytes) -> str:
    """A JPEG as the address of an image."""
    return "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")


def facts(values: Mapping[str, Any]) -> str:
    """Names and values as a table of two columns."""
    rows = (f'<tr><th scope="row">{text(key)}</th><td>{_plain(value)}</td></tr>' for key, value in values.items())
    return f'<div class="scroll"><table class="facts"><tbody>{"".join(rows)}</tbody></table></div>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]], *, caption: str = "", attributes: str = "") -> str:
    """A table of ready-made cells whose first column names the row."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = []
    for row in rows:
        first, *others = row
        cells = "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in others)
        body.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    heading = f"<caption>{caption}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table {attributes}>{heading}<thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _plain(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # Seeds and the like are no quantities: no thousands separators here.
        return text(f"{value:.6g}" if isinstance(value, float) else value)
    if isinstance(value, Mapping | list | tuple):
        return text(json.dumps(value, ensure_ascii=False, default=str))
    return name(value)


def write_page(path: Path, page: str) -> None:
    """Replaces a file as a whole: a reader never sees half a page.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(page)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(f"cannot write the report {path}: {error.strerror or error}") from error
