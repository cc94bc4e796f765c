"""Infers a profile for an undescribed product from its maker's specification.

The specification gives codes, units and scales; its mistakes are corrected by the device's answer
if that leaves no doubt.
"""

from esquirell.domain.inference.infer import infer
from esquirell.domain.inference.specification import Specified, mapping_of, specified

__all__ = ["Specified", "infer", "mapping_of", "specified"]
