"""How the rows of a list are cut into numbered pages."""


def page_count(total: int, page_size: int) -> int:
    """At least one, which may be empty."""
    return max(1, -(-total // page_size))
