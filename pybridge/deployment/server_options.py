"""What the server can be told, read from the manifest that the server itself reads: ``node_runner/server/options.json``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache

from pybridge.errors import DataError, SetupError
from pybridge.runtime.bundle import find_bundle

# Options of the server that `serve` takes as arguments of their own.
_NO_LIMITS = ("port", "workers")


@dataclass(frozen=True)
class NumberOption:
    """An option of the server that is a number.

    Attributes:
        name: In Python, such as ``max_body``.
        default: What it is where nothing else is asked for.
        minimum: The smallest that is taken.
        maximum: The largest.
        whole: Whether it must be a whole number.
        help: What it means, with its unit.
    """

    name: str
    default: float
    minimum: float
    maximum: float
    whole: bool
    help: str

    @property
    def flag(self) -> str:
        """As it is typed, such as ``--max-body``."""
        return f"--{self.name.replace('_', '-')}"

    def arguments(self, value: float) -> list[str]:
        """What sets it on the server's command line.

        Raises:
            DataError: The value is not one that the server takes.
        """
        valid = isinstance(value, int | float) and self.minimum <= value <= self.maximum
        if not valid or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise DataError(f"{self.name} must be {kind} from {self.minimum:.17g} to {self.maximum:.17g}, not {value!r}")
        return [self.flag, f"{value:.17g}"]


@dataclass(frozen=True)
class ServerOptions:
    """All that Python and the server agree on.

    Attributes:
        numbers: The options that are numbers, by name.
        runtimes: What a model can run on.
        log_levels: From the most important lines to none.
        model_name: What a model may be called.
    """

    numbers: dict[str, NumberOption]
    runtimes: tuple[str, ...]
    log_levels: tuple[str, ...]
    model_name: re.Pattern[str]

    @property
    def limits(self) -> dict[str, NumberOption]:
        """What ``limits`` of `pybridge.serve` may set, by name."""
        return {name: option for name, option in self.numbers.items() if name not in _NO_LIMITS}


@cache
def server_options() -> ServerOptions:
    """The options of the server that comes with this pybridge.

    Raises:
        SetupError: The installation is damaged.

    Example:
        >>> server_options().limits["max_images"].default
        64
    """
    file = find_bundle().node_runner / "server" / "options.json"
    try:
        manifest = json.loads(file.read_text("utf-8"))
        numbers = [NumberOption(**{**each, "name": each["name"].replace("-", "_")}) for each in manifest["numbers"]]
        choices = manifest["choices"]
        return ServerOptions(
            {option.name: option for option in numbers},
            tuple(choices["runtime"]["values"]),
            tuple(choices["log-level"]["values"]),
            re.compile(manifest["modelName"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{file} is damaged: {error!r}", hint="Reinstall pybridge.") from error
