"""Inference: a profile for a product that nobody described, from what its maker says of it.

The maker's specification gives codes, units and scales; what it says wrong is told by what the
device answers, where that leaves no doubt.
"""

from esquirell.domain.inference.infer import infer
from esquirell.domain.inference.specification import Specified, specified

__all__ = ["Specified", "infer", "specified"]
