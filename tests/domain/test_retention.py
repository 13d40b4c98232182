"""How long counters stay after their window."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain.limits import Account, account_from_name
from ai_gateway.domain.retention import kept_until

KEPT = {
    "user:7:2026-01-31": datetime(2026, 3, 5, tzinfo=UTC),
    "installation:0:2026-01": datetime(2027, 3, 1, tzinfo=UTC),
    "key:7:2026-11": datetime(2028, 1, 1, tzinfo=UTC),
}


@pytest.mark.parametrize(("name", "until"), KEPT.items(), ids=KEPT)
def test_days_stay_32_days_and_months_13_months(name: str, until: datetime) -> None:
    assert kept_until(account_from_name(name), ZoneInfo("UTC")) == until


def test_windows_end_in_the_reporting_zone() -> None:
    account: Account = account_from_name("user:7:2026-06")
    assert kept_until(account, ZoneInfo("Asia/Kolkata")) == datetime(
        2027, 7, 31, 18, 30, tzinfo=UTC
    )
