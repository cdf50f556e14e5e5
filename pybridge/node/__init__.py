"""Node.js for people: a process, the models in it, and functions of one's own JavaScript."""

from pybridge.node.async_node import AsyncNode
from pybridge.node.model import Model
from pybridge.node.node import Node
from pybridge.node.pool import NodePool
from pybridge.rpc.javascript import JSIterator, JSObject

__all__ = ["AsyncNode", "JSIterator", "JSObject", "Model", "Node", "NodePool"]
