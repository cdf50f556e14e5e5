"""Every error that pybridge raises on purpose.

Each message says what happened and where; ``hint`` says what to do next and is printed below the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pybridge.text import printable_lines


class BridgeError(Exception):
    """Base class of all errors raised by pybridge.

    Args:
        message: What happened, and where.
        hint: What the reader can do about it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # Names of files and layers come from others, and end in terminals and logs.
        self.message = printable_lines(message)
        self.hint = None if hint is None else printable_lines(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class NodeNotFoundError(BridgeError):
    """No suitable Node.js executable was found."""


class SetupError(BridgeError):
    """The Node.js side could not be installed or compiled."""


class NodeCrashedError(BridgeError):
    """The Node.js process ended while it was needed.

    Attributes:
        exit_code: Its exit code, or None where a signal ended it.
        signal_name: The signal that ended it, such as ``"SIGKILL"``, or None.
        stderr_tail: The last lines that it wrote to stderr.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int | None = None,
        signal_name: str | None = None,
        stderr_tail: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code
        self.signal_name = signal_name
        self.stderr_tail = stderr_tail


class RemoteError(BridgeError):
    """JavaScript code threw an error.

    Attributes:
        name: The JavaScript error's name, such as ``"TypeError"``.
        remote_message: The JavaScript error's message.
        remote_stack: The JavaScript stack, without pybridge's own frames.
        properties: The error's own members, such as ``{"code": "ENOENT"}``; of a thrown object, its members.
        code: The JSON-RPC error code.

    What JavaScript names as the error's ``cause`` is its ``__cause__`` too, so that Python shows both; where a Python function
    raised that JavaScript called, the ``__cause__`` is that exception.
    """

    def __init__(
        self,
        name: str,
        message: str,
        *,
        stack: str = "",
        code: int = 0,
        hint: str | None = None,
        properties: Mapping[str, Any] | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(f"{name} in Node.js: {message}", hint=hint)
        self.name = name
        self.remote_message = message
        self.remote_stack = stack
        self.code = code
        self.properties = dict(properties or {})
        self.__cause__ = cause

    @property
    def cause(self) -> RemoteError | None:
        """The JavaScript error that this one came from, or None."""
        return self.__cause__ if isinstance(self.__cause__, RemoteError) else None

    def __str__(self) -> str:
        members = ", ".join(f"{name}: {value!r:.200}" for name, value in self.properties.items())
        parts = [self.message, f"  ({members})" if members else "", f"  {self.hint}" if self.hint else ""]
        text = "\n".join(part for part in parts if part)
        if self.remote_stack:
            text += "\n\nJavaScript stack:\n" + self.remote_stack
        cause = self.cause
        while cause is not None:
            text += f"\nCaused by: {cause.name}: {cause.remote_message}"
            cause = cause.cause
        return text


class CallTimeoutError(BridgeError, TimeoutError):
    """A call took longer than the caller allowed. The connection stays usable."""


class ModelFormatError(BridgeError):
    """A model file is damaged, unsafe, or of a kind that cannot be used for what was asked."""


class DataError(BridgeError, ValueError):
    """Images, labels or arrays cannot be used as they are."""


class ParityError(BridgeError):
    """Two runtimes disagree by more than the tolerance."""
