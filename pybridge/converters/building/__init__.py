"""Builds layers models from the operations of a graph, keeping track of how the axes of each tensor lie."""
