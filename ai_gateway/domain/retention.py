"""How long counters of closed windows stay in Redis; the ledger keeps their sums for good."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ai_gateway.domain.limits import Account, Window, window_end

DAILY_KEPT = timedelta(days=32)
MONTHLY_KEPT_MONTHS = 13


def kept_until(account: Account, zone: ZoneInfo) -> datetime:
    """When the counter of an account may go: 32 days or 13 months after its window ended."""
    is_day = account.window is Window.DAY
    day = date.fromisoformat(account.window_id if is_day else f"{account.window_id}-01")
    end = window_end(account.window, datetime.combine(day, time(12), zone), zone)
    if is_day:
        return end + DAILY_KEPT
    for _ in range(MONTHLY_KEPT_MONTHS):
        end = window_end(Window.MONTH, end, zone)
    return end
