"""The package that a Node service requires; `pybridge.deploy` is the function, so the room has another name."""

from pybridge.deployment.package import DeployedPackage, deploy

__all__ = ["DeployedPackage", "deploy"]
