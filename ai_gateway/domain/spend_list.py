"""How a list of users can be cut and ordered by what they have spent."""

from enum import StrEnum


class SpendFilter(StrEnum):
    """`warning` shows those that are exceeded too."""

    ALL = "all"
    WARNING = "warning"
    EXCEEDED = "exceeded"


class SpendSort(StrEnum):
    """The columns that the users can be sorted by."""

    USER = "user"
    EMAIL = "email"
    DAILY_SPEND = "daily_spend"
    DAILY_USED = "daily_used"
    MONTHLY_SPEND = "monthly_spend"
    MONTHLY_USED = "monthly_used"
    STATE = "state"
