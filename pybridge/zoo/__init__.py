"""Base models that can be used by name, fetched once and checked."""

from pybridge.zoo.entry import ZooEntry
from pybridge.zoo.registry import ZooList, at_hand, find, get, list, table  # noqa: A004 - pb.zoo.list() is the public name

__all__ = ["ZooEntry", "ZooList", "at_hand", "find", "get", "list", "table"]
