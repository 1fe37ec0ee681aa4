"""The Outguard lab: boots real, unmodified Debian kernels under stock QEMU.

Use it as `with Lab() as lab: guest = lab.guest(kernel="6.1")`; see lab/README.md.
Standard library only. Needs root, because it makes network namespaces.
"""

from .errors import LabError
from .guest import Guest, Started, Talk
from .lab import Lab
from .truth import Truth

__all__ = ["Guest", "Lab", "LabError", "Started", "Talk", "Truth"]
