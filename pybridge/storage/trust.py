"""Who else could put something into a folder from which code is loaded."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from pybridge.errors import SetupError

_ADMINISTRATOR = 0


def check_trusted(root: Path, *inside: Path) -> None:
    """Make sure that nobody but this user and the administrator can change what lies in a folder.

    A folder or file passes where it belongs to this user or to root, and no others may write to it. A group may, where this user
    alone is its member, as the groups are that most Linux systems make for each user, or where it is root's. The folders above
    ``root`` may belong to anybody, but where everybody may write to one, names in it must be protected (the sticky bit, as
    ``/tmp`` has it). What does not exist is not looked at.

    Args:
        root: The folder.
        inside: Folders and files in it; all that lies between is checked as well.

    Raises:
        SetupError: It names the first that others can change, and what to do.
    """
    for place in dict.fromkeys(step for path in (root, *inside) for step in _way(root, path)):
        status = _status(place)
        if status is None:
            continue
        if status.st_uid not in (_ADMINISTRATOR, os.geteuid()):
            raise SetupError(
                f"{place} belongs to {_user(status.st_uid)}, not to you ({_user(os.geteuid())}): "
                "they could change the code that pybridge loads from there.",
                hint="Set PYBRIDGE_CACHE to a folder of your own. If you trust all that is in this one, make it yours: "
                f"chown -R {os.geteuid()} {shlex.quote(str(root))}",
            )
        if writers := _other_writers(status):
            raise SetupError(
                f"{writers} may write to {place}, and so change the code that pybridge loads from there.",
                hint="Set PYBRIDGE_CACHE to another folder. If you trust all that is in this one, keep others out: "
                f"chmod -R go-w {shlex.quote(str(root))}",
            )
    _check_parents(root)


def take_write_from_others(folder: Path) -> None:
    """Let nobody but its owner write to a folder and all that is in it, whatever the umask was when it was made."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & (stat.S_IWGRP | stat.S_IWOTH):
            path.chmod(stat.S_IMODE(mode) & ~(stat.S_IWGRP | stat.S_IWOTH))


def _way(root: Path, path: Path) -> list[Path]:
    """From the root down to a path in it."""
    return [root, *(step for step in reversed((path, *path.parents)) if root in step.parents)]


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _check_parents(root: Path) -> None:
    # Links are followed first: what counts is who may rename the real folders.
    for parent in Path(os.path.realpath(root)).parents:
        status = _status(parent)
        if status is not None and status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
            raise SetupError(
                f"Everybody may write to {parent}, and so put another folder in the place of {root}, "
                "from which pybridge loads code.",
                hint="Set PYBRIDGE_CACHE to a folder elsewhere, or protect the names in that one: "
                f"chmod +t {shlex.quote(str(parent))}",
            )


def _other_writers(status: os.stat_result) -> str | None:
    if status.st_mode & stat.S_IWOTH:
        return "Everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid):
        return f"The group {_group(status.st_gid)}"
    return None


def _is_private(gid: int) -> bool:
    """Whether a group has no other members than this user, as far as its name and its list of members tell."""
    import grp
    import pwd

    try:
        me, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(gid)
    except KeyError:
        return gid == _ADMINISTRATOR
    return (gid == _ADMINISTRATOR or group.gr_name == me) and set(group.gr_mem) <= {me, "root"}


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
