"""The package that a Node service requires; `pybridge.deploy` is the function, so the room has another name."""

from pybridge.deployment.drift import describe_drift
from pybridge.deployment.package import DeployedPackage, deploy
from pybridge.deployment.server import Server, serve

__all__ = ["DeployedPackage", "Server", "deploy", "describe_drift", "serve"]
