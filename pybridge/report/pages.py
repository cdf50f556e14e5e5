"""Templates into pages, each one file that needs nothing from elsewhere; and how values are written in them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from pybridge.errors import DataError
from pybridge.storage.files import replace_file

NONE = "\N{EN DASH}"
"""Stands where there is no value."""


def render_page(template: str, **values: Any) -> str:
    """Fills in one of the templates beside this file; whatever is no `Markup` is escaped.

    Args:
        template: Its file name.
        values: Its variables; one that the template names and nobody gives is an error.

    Returns:
        HTML; what UTF-8 cannot hold, as in file names that are no text, becomes ``?``.

    Example:
        >>> render_page("bench.html", chart=Markup("<svg></svg>"), tables="a < b")
    """
    page = _environment().get_template(template).render(**values)
    return page.encode("utf-8", "replace").decode("utf-8")


def write_page(path: Path, page: str) -> None:
    """Replaces a file as a whole: a reader never sees half a page.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        replace_file(path, page)
    except OSError as error:
        raise DataError(f"cannot write the report {path}: {error.strerror or error}") from error


def percent(share: float, digits: int = 1) -> str:
    """A share from 0 to 1 in percent."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%" if math.isfinite(share) else NONE


def number(value: object) -> str:
    """A number, short; whole numbers whole."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:.4g}"


def plain(value: object) -> str:
    """A value of a table of facts; text keeps its direction of writing to itself."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        # Seeds and the like are no quantities: no thousands separators here.
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return Markup("<bdi>{}</bdi>").format(value)


def data_address(content: bytes, kind: str) -> str:
    """A picture as the address of an image, so that a page holds it itself.

    Args:
        content: Of the file.
        kind: ``jpeg`` or ``png``.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pybridge.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "number": number, "plain": plain}
    environment.globals |= {"NONE": NONE, "file": _file}
    return environment


def _file(name: str) -> Markup:
    """A style sheet or script of pybridge, which is no template: its braces are its own."""
    return Markup(resources.files("pybridge.report").joinpath("templates", name).read_text("utf-8"))


__all__ = ["NONE", "Markup", "data_address", "escape", "number", "percent", "plain", "render_page", "write_page"]
