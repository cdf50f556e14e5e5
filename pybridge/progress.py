"""A progress bar where somebody can see it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from pybridge.text import printable


class Progress:
    """A running progress bar; made by `progress`."""

    def __init__(self, total: int | None, description: str, unit: str, *, shown: bool) -> None:
        self._bar: Any = _open_bar(total, description, unit) if shown else None

    def update(self, n: int = 1) -> None:
        """Count ``n`` more units as done."""
        if self._bar is not None:
            self._bar.update(n)

    def set_postfix(self, **values: object) -> None:
        """Show values behind the bar, such as ``loss="0.31"``."""
        if self._bar is not None:
            self._bar.set_postfix(refresh=True, **{name: printable(value) for name, value in values.items()})

    def set_description(self, description: str) -> None:
        """Change what stands before the bar."""
        if self._bar is not None:
            self._bar.set_description(printable(description), refresh=False)

    def set_total(self, total: int | None) -> None:
        """Correct the expected number of units."""
        if self._bar is not None:
            self._bar.total = total
            self._bar.refresh()

    def finish(self) -> None:
        """Say that no more will be done: what is done is all there is, and the bar is full."""
        if self._bar is not None and self._bar.n:
            self.set_total(self._bar.n)

    def close(self) -> None:
        """Leave the bar as it is and go to a new line."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def progress(total: int | None, description: str, unit: str = "it") -> Progress:
    """Show progress with the time that is left: on stderr in a terminal, in the page in a notebook, else not at all.

    The environment variable ``PYBRIDGE_PROGRESS`` overrides this: ``1`` shows it always, ``0`` never.

    Args:
        total: Expected number of units; None if it is unknown.
        description: Stands before the bar.
        unit: What is counted; ``"B"`` for bytes is shown as kB, MB, GB.

    Returns:
        A context manager with ``update(n)`` and ``set_postfix(name=value)``.

    Example:
        >>> with progress(100, "features", "image") as bar:
        ...     bar.update(32)
    """
    return Progress(total, description, unit, shown=_is_wanted())


@contextmanager
def download_progress(description: str = "Download") -> Iterator[Callable[[int, int], None]]:
    """A function that shows how much of a download is there; nothing is shown before it is first called.

    Example:
        >>> with download_progress() as report:
        ...     report(1_000_000, 16_000_000)
    """
    with ExitStack() as stack:
        shown: list[Progress] = []
        seen = 0

        def report(done: int, total: int) -> None:
            nonlocal seen
            if not shown:
                shown.append(stack.enter_context(progress(total, description, "B")))
            shown[0].set_total(total)
            shown[0].update(done - seen)
            seen = done

        yield report


def _is_wanted() -> bool:
    override = os.environ.get("PYBRIDGE_PROGRESS", "")
    if override in ("0", "1"):
        return override == "1"
    return (sys.stderr is not None and sys.stderr.isatty()) or _in_notebook()


def _in_notebook() -> bool:
    # Only a kernel that is already running counts: importing IPython to ask would be slow.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _open_bar(total: int | None, description: str, unit: str) -> Any:
    with warnings.catch_warnings():
        # Without ipywidgets tqdm warns and then draws the bar as text, which is fine.
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    scaled = unit == "B"
    return tqdm(
        total=total,
        desc=printable(description),
        unit=unit if scaled else f" {unit}",
        unit_scale=scaled,
        unit_divisor=1000,
        dynamic_ncols=True,
        leave=True,
    )
