"""The one exception that the lab raises on purpose."""


class LabError(Exception):
    """Something the lab needs is missing, failed, or took too long. The text is for a person."""
