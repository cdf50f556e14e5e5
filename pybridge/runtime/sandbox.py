"""Confines a process, for its whole life, to the files that it needs, and takes the network from it.

Landlock (https://docs.kernel.org/userspace-api/landlock.html) and seccomp are asked for by system calls: what the registry has
of bindings is in development or was given up, and the few calls that are needed have not changed since the kernel has them.
Both are Linux's, need no rights, and are inherited by the processes that the confined one starts.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pybridge.runtime.bundle import find_bundle
from pybridge.runtime.commands import python_code

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many rights over files each version knows
_NETWORK = 0b11  # bind and connect TCP
_SCOPES = 0b11  # abstract sockets of others, and signals to them

# linux/audit.h; the number of socket() in asm/unistd.h
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_IO_URING_SETUP = 425
_X32 = 0x40000000
_AF_UNIX = 1
_DENY, _ALLOW = 0x00050000 | 13, 0x7FFF0000  # EACCES

_SYSTEM = (
    *("/usr", "/bin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/sys"),
    # Not the folders of other processes: as root, Landlock alone leaves their environment readable.
    *(f"/proc/{name}" for name in ("self", "cpuinfo", "driver", "filesystems", "meminfo", "stat", "sys", "version")),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/dri", "/dev/kfd")
_LIBRARIES = ("tensorflow", "keras", "numpy", "h5py")
_CONFINED = (
    "sys.path.insert(0, sys.argv[1]); import os; from pybridge.runtime.sandbox import Confinement, confine; "
    "confine(Confinement.from_json(sys.argv[2])); os.execv(sys.argv[3], sys.argv[3:])"
)


@dataclass(frozen=True)
class Confinement:
    """What a confined process may open besides the system and its own installation.

    Attributes:
        read: Files and folders with all that is in them.
        write: Folders in which it may also write.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()

    def to_json(self) -> str:
        """As text, for the command line of the process that is to be confined."""
        return json.dumps({name: [str(path) for path in paths] for name, paths in vars(self).items()})

    @classmethod
    def from_json(cls, text: str) -> Confinement:
        """What `to_json` wrote."""
        return cls(**{name: tuple(map(Path, paths)) for name, paths in json.loads(text).items()})


def sandbox_version() -> int:
    """The version of Landlock that this system has; 0 where it has none, or where ``PYBRIDGE_SANDBOX`` is ``off``."""
    if sys.platform != "linux" or os.environ.get("PYBRIDGE_SANDBOX", "").lower() in ("off", "0"):
        return 0
    return max(0, int(_syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))))


def describe_sandbox() -> str:
    """Say for people which sandbox there is, or why there is none.

    Example:
        >>> describe_sandbox()
        'Landlock 7: files and TCP; seccomp: no sockets'
    """
    if sys.platform != "linux":
        return f"none: {platform.system()} has no Landlock; models are held to the operations that compute"
    version = sandbox_version()
    if not version:
        off = os.environ.get("PYBRIDGE_SANDBOX", "").lower() in ("off", "0")
        why = "PYBRIDGE_SANDBOX is off" if off else "this kernel has no Landlock, or it is switched off"
        return f"none: {why}; models are held to the operations that compute"
    files = "files and TCP" if version >= 4 else "files"
    return f"Landlock {version}: {files}" + ("; seccomp: no sockets" if platform.machine() in _MACHINES else "")


def confine(confinement: Confinement) -> bool:
    """Confine this process, its threads to come and the processes that it starts. It cannot be undone.

    It must be called before the process starts threads.

    Returns:
        False where the system has no sandbox.

    Raises:
        OSError: The system refuses to confine it.
    """
    version = sandbox_version()
    if not version:
        return False
    handled = (1 << _RIGHTS_BY_VERSION.get(version, 16)) - 1
    network = _NETWORK if version >= 4 else 0
    size = 8 if version < 4 else 16 if version < 6 else 24
    attributes = struct.pack("QQQ", handled, network, _SCOPES)[:size]
    ruleset = int(_checked(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)))
    try:
        for path in (*_installation(), *confinement.read):
            _add_rule(ruleset, path, _READ & handled)
        for path in search_path():
            _add_rule(ruleset, path, _READ_DIR)
        for device in (*map(Path, _DEVICES), *Path("/dev").glob("nvidia*")):
            _add_rule(ruleset, device, (_READ | _WRITE_FILE | _IOCTL | _TRUNCATE) & handled)
        for path in confinement.write:
            _add_rule(ruleset, path, handled & ~_EXECUTE)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
        _checked(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    _without_sockets(libc)
    return True


def confined_command(command: Sequence[str | Path], confinement: Confinement) -> list[str]:
    """The command that runs another one confined, in the same process and with the descriptors that it inherits.

    Where the system has no sandbox, it is the other one itself.

    Example:
        >>> subprocess.run(confined_command(["/usr/bin/cat", "/etc/passwd"], Confinement())).returncode
        1
    """
    words = [str(word) for word in command]
    if not sandbox_version():
        return words
    return python_code(_CONFINED, Path(__file__).parents[2], confinement.to_json(), *words)


def search_path() -> list[Path]:
    """The folders in which this process looks for modules."""
    return [Path(entry) for entry in sys.path if entry and Path(entry).is_dir()]


def _installation() -> list[Path]:
    """What Python, TensorFlow and the system are installed in."""
    found = [Path(name) for name in _SYSTEM]
    found += [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent, Path(__file__).parents[1]]
    found += [Path(place) for place in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")) if place]
    found += [place for place in search_path() if {"site-packages", "dist-packages"} & set(place.parts)]
    for name in _LIBRARIES:
        spec = find_spec(name)
        if spec is not None:
            found += [Path(place) for place in spec.submodule_search_locations or ()]
    found += [Path(place) for place in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if place]
    # Next to the package, where it is no wheel.
    found.append(find_bundle().node_runner)
    # Keras reads its backend from here.
    found.append(Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json")
    return found


def _add_rule(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there need not be allowed
    try:
        if not path.is_dir():
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, place)
        _checked(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(place)


def _without_sockets(libc: ctypes.CDLL) -> None:
    """Deny all sockets but those between processes of this machine: Landlock knows no UDP."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return
    architecture, socket = machine
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    # Of struct seccomp_data: the call's number is at 0, the architecture at 4, the first argument at 16. Jumps count from the
    # next instruction.
    program = [
        (load, 0, 0, 4),
        (equal, 0, 6, architecture),
        (load, 0, 0, 0),
        (at_least, 4, 0, _X32),
        (equal, 3, 0, _IO_URING_SETUP),
        (equal, 0, 3, socket),
        (load, 0, 0, 16),
        (equal, 1, 0, _AF_UNIX),
        (give, 0, 0, _DENY),
        (give, 0, 0, _ALLOW),
    ]
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    described = struct.pack("HxxxxxxP", len(program), ctypes.addressof(instructions))
    if libc.prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER), described, *map(ctypes.c_ulong, (0, 0))):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


def _syscall(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments))


def _checked(number: int, *arguments: object) -> int:
    result = _syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{os.strerror(ctypes.get_errno())} (system call {number})")
    return result
