"""The Outguard lab: boots real, unmodified Debian kernels under stock QEMU.

Use it as `with Lab() as lab: guest = lab.guest(kernel="6.1")`; see lab/README.md.
Standard library only. Needs root, because it makes network namespaces.
"""

from .errors import LabError
#from .lab import Lab

__all__ = ["LabError"]
