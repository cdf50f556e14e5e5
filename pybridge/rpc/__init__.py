"""The pipe to Node.js: frames, messages, one connection, one child process. It knows nothing of models."""

from pybridge.rpc.connection import Connection
from pybridge.rpc.pending import PendingCall
from pybridge.rpc.process import NodeProcess

__all__ = ["Connection", "NodeProcess", "PendingCall"]
