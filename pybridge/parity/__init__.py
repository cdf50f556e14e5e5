"""The same input through every runtime, compared."""

from pybridge.parity.compare import prove, verify
from pybridge.parity.report import ParityReport, RuntimeResult

__all__ = ["ParityReport", "RuntimeResult", "prove", "verify"]
