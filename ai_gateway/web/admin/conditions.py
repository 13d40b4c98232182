"""What every staff page has to say: live counters away, a ledger behind, calls that are paused."""

from datetime import datetime, timedelta

from flask import g

from ai_gateway.domain.house_rules import Pause, PauseScope, PauseTarget
from ai_gateway.services.health import LiveState
from ai_gateway.web.context import services

NOTABLE_LAG = timedelta(seconds=60)


def live_state() -> LiveState:
    """Read once for each request; waits for Redis as long as a call would, never longer."""
    if "live_state" not in g:
        g.live_state = services().health.live_state()
    state: LiveState = g.live_state
    return state


def counters_down_since() -> datetime | None:
    return live_state().redis_down_since


def notable_lag() -> timedelta | None:
    """How far the ledger is behind, where a reader of totals has to know."""
    lag = live_state().ledger_lag
    return lag if lag is not None and lag > NOTABLE_LAG else None


def service_pauses() -> tuple[Pause, ...]:
    """What is paused for more than one user: every page says so."""
    return tuple(pause for pause in pauses() if pause.target.scope is not PauseScope.USER)


def pauses() -> tuple[Pause, ...]:
    """What is paused; read once for each request."""
    if "pauses" not in g:
        g.pauses = services().budgets.pauses.in_force()
    found: tuple[Pause, ...] = g.pauses
    return found


def pause_of(target: PauseTarget) -> Pause | None:
    return next((pause for pause in pauses() if pause.target == target), None)
