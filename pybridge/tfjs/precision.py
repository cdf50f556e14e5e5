"""How many bits the weights of a written model have. Light to import, as the command line offers the choice."""

from typing import Literal, get_args

Precision = Literal["float32", "float16", "uint16", "uint8"]
"""Of a model that is written: whole, halves, or whole numbers between the least and the largest of a weight."""

PackagePrecision = Literal["float32", "float16", "uint8"]
"""Of a package, for which drift has been measured."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PACKAGE_PRECISIONS: tuple[PackagePrecision, ...] = get_args(PackagePrecision)
