"""The one failure that membership knows."""


class BrokenLog(Exception):  # noqa: N818 - it says what the log is
    """The input log contradicts itself or holds a step that can't be read.

    Skipping it would make partitions disagree, so the service stops and says where.
    """
