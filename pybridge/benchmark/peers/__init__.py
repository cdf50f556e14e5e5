"""The peers: programs that do the same work, each in a process of its own, when they are told to."""
