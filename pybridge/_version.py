"""The version of pybridge, for the build and for what records it."""

__version__ = "0.1.0"
