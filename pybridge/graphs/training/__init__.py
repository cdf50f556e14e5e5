"""Traced trainings: the graph that Node trains with, and the reference that it is compared with."""
