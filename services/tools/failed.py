"""What ends a call of the `usher` command: raised anywhere beneath it, printed once, in `cli`."""


class CallFailed(Exception):  # noqa: N818 - what a person reads
    """Ends a call with its text on standard error and exit code 1."""
