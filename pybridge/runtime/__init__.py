"""The Node.js side of pybridge: found, installed, compiled and checked."""

from pybridge.runtime.diagnosis import Check, DoctorReport, doctor
from pybridge.runtime.installation import Runtime, ensure
from pybridge.storage.cache import cache_dir

__all__ = ["Check", "DoctorReport", "Runtime", "cache_dir", "doctor", "ensure"]
