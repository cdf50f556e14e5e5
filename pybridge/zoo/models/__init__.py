"""The base models: a file for each architecture, with the entries of the zoo beside the code that builds them.

Every module here has ``ENTRIES``, a tuple of `ZooEntry`; that is all it takes to be in the zoo.
"""
