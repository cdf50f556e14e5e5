"""Where a package may be written: it replaces nothing but an earlier package."""

from __future__ import annotations

from pathlib import Path

from pybridge.deployment.manifest import is_own
from pybridge.errors import BridgeError


class DestinationError(BridgeError, ValueError):
    """The folder for a package cannot be used."""


def check_destination(dest: Path) -> None:
    """Makes sure that nothing but an earlier package would be replaced.

    Raises:
        BridgeError: There is something else.
    """
    if not dest.exists() and not dest.is_symlink():
        return
    if not dest.is_dir() or dest.is_symlink():
        raise DestinationError(f"{dest} is not a folder", hint="Choose another place for the package.")
    if any(dest.iterdir()) and not is_own(dest):
        raise DestinationError(f"{dest} holds files that are no package of pybridge", hint="Choose a new or empty folder.")
