"""The one exception of the bench."""


class BenchError(Exception):
    """The run cannot go on; the message is the one line that the user reads."""
