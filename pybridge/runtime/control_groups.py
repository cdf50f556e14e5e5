"""The control groups that this process is in, whose limits a container sets."""

from __future__ import annotations

from pathlib import Path


def control_groups(controller: str, root: Path = Path("/")) -> list[Path]:
    """The folders of the groups that limit this process, its own first, then those above it; some may not exist.

    Both versions are looked at: in v2 all controllers share one tree, in v1 each has its own (kernel documentation,
    admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst).

    Args:
        controller: ``cpu`` or ``memory``.
        root: Where ``proc`` and ``sys`` are.

    Example:
        >>> control_groups("cpu")
        [PosixPath('/sys/fs/cgroup/user.slice'), PosixPath('/sys/fs/cgroup')]
    """
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return []
    folders: list[Path] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        # Inside a container the path may be the host's, which is not mounted there: the mount itself is the group then.
        group = mount / path.lstrip("/")
        folders += [folder for folder in (group, *group.parents) if folder == mount or mount in folder.parents]
    return folders
