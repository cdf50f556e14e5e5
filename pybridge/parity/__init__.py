"""The same input through every runtime, compared."""

from pybridge.parity.compare import verify
from pybridge.parity.report import ParityReport, RuntimeResult

__all__ = ["ParityReport", "RuntimeResult", "verify"]
