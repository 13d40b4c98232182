"""What staff do about alerts: see them, choose the rules, and send a test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from ai_gateway.domain.alerts import (
    MOST_COOL_DOWN,
    SPECS,
    AlertKind,
    Notice,
    NoticeState,
    Rule,
)
from ai_gateway.domain.audit import Action, Actor, Change, Facts, Result, Target, TargetKind
from ai_gateway.domain.clock import Clock
from ai_gateway.errors import ChangedMeanwhile, InvalidRequest
from ai_gateway.notify.channel import Channel
from ai_gateway.services.alert_delivery import attempt
from ai_gateway.services.audit import Audit
from ai_gateway.stores.alert_deliveries import AlertDeliveries, Attempt
from ai_gateway.stores.alert_rules import AlertRules
from ai_gateway.stores.alerts import Alert, AlertTable

SHOWN_ATTEMPTS = 50
SHOWN_ALERTS = 100
SHOWN_FOR = timedelta(days=7)
"""So long a closed alert is shown."""

TEST_COOL_DOWN = timedelta(seconds=30)
"""Between two tests, so that nobody's telephone rings without end."""

MOST_COOL_DOWN_MINUTES = int(MOST_COOL_DOWN.total_seconds()) // 60


@dataclass(frozen=True, slots=True)
class RuleValues:
    """What to make of a rule that had this `version` when it was read."""

    is_on: bool
    threshold: int
    cool_down_minutes: int
    version: int


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """A way to people; `target` has no secret in it."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of a test on one channel: why it failed, or None, and what is to be noted."""

    __test__ = False
    channel: str
    failure: str | None
    note: str


@dataclass(frozen=True, slots=True)
class AlertStores:
    """Where alerts are kept."""

    rules: AlertRules
    alerts: AlertTable
    deliveries: AlertDeliveries


class AlertAdmin:
    """Raises `GatewayUnavailable` where the database does not answer."""

    def __init__(
        self, stores: AlertStores, channels: Sequence[Channel], audit: Audit, clock: Clock
    ) -> None:
        self._stores = stores
        self._channels = channels
        self._audit = audit
        self._clock = clock

    @property
    def channels(self) -> tuple[ChannelFacts, ...]:
        return tuple(ChannelFacts(channel.name, channel.target) for channel in self._channels)

    def now(self) -> datetime:
        return self._clock()

    def rules(self) -> dict[AlertKind, Rule]:
        return self._stores.rules.all()

    def alerts(self, count: int = SHOWN_ALERTS) -> tuple[Alert, ...]:
        """Those that are open, the newest first, then those that were closed lately."""
        return self._stores.alerts.recent(count, since=self._clock() - SHOWN_FOR)

    def attempts(self, count: int = SHOWN_ATTEMPTS) -> tuple[Attempt, ...]:
        return self._stores.deliveries.log(count)

    def change(self, kind: AlertKind, values: RuleValues, actor: Actor) -> Rule:
        """Put new values in force; gives them. Raises `InvalidRequest`, `ChangedMeanwhile`."""
        spec = SPECS[kind]
        if not spec.low <= values.threshold <= spec.high:
            raise InvalidRequest(
                f"The threshold is a whole number from {spec.low:,} to {spec.high:,}.", "threshold"
            )
        if not 0 <= values.cool_down_minutes <= MOST_COOL_DOWN_MINUTES:
            raise InvalidRequest(
                f"The cool-down is 0 to {MOST_COOL_DOWN_MINUTES:,} minutes.", "cool_down"
            )
        cool_down = timedelta(minutes=values.cool_down_minutes)
        rule = Rule(kind, values.is_on, values.threshold, cool_down, values.version)
        self._put(self.rules()[kind], rule, actor)
        return rule

    def use_recommended(self, actor: Actor) -> tuple[AlertKind, ...]:
        """Switch on the recommended rules that are off, with what they say; gives those."""
        rules = self.rules()
        chosen = [k for k, spec in SPECS.items() if spec.is_recommended and not rules[k].is_on]
        for kind in chosen:
            self._put(rules[kind], replace(rules[kind], is_on=True), actor)
        return tuple(chosen)

    def wait_for_test(self) -> timedelta | None:
        """How long to wait until another test may be sent; None where it may be now."""
        last = self._stores.deliveries.last_test_at()
        left = last + TEST_COOL_DOWN - self._clock() if last else timedelta(0)
        return left if left > timedelta(0) else None

    def send_test(self, actor: Actor, token: str) -> tuple[TestResult, ...]:
        """Send one message to each channel now; nothing where this `token` was used before.

        Raises `InvalidRequest` where there is no channel, or the last test was a moment ago.
        """
        if not self._channels:
            raise InvalidRequest("No channel is set: there is nobody to send a test to.", "channel")
        notice = self._test_notice(actor, token)
        if (wait := self.wait_for_test()) is not None:
            raise InvalidRequest(
                f"The last test was sent a moment ago: wait {wait.total_seconds():.0f} seconds.",
                "cool_down",
            )
        names = [channel.name for channel in self._channels]
        claims = self._stores.deliveries.begin_test(notice, names, self._clock())
        results = []
        for channel, claim in zip(self._channels, claims, strict=False):
            failure, note = attempt(channel, notice, claim.number)
            self._stores.deliveries.finish(claim, failure, self._clock(), note)
            results.append(TestResult(channel.name, failure, note))
        if results:
            self._record_test(results, actor)
        return tuple(results)

    def _put(self, old: Rule, new: Rule, actor: Actor) -> None:
        title = SPECS[new.kind].title
        entry = self._audit.entry(
            Action.ALERT_CHANGE,
            actor,
            Target(TargetKind.ALERT_RULE, new.kind.value, title),
            Change(_facts(old), _facts(new)),
        )
        if not self._stores.rules.change(new, entry):
            raise ChangedMeanwhile

    def _test_notice(self, actor: Actor, token: str) -> Notice:
        now = self._clock()
        # The same form gives the same message, which is stored once.
        name = sha256(f"{actor.user_id} {token or now.isoformat()}".encode()).hexdigest()[:32]
        return Notice(
            id=name,
            state=NoticeState.TEST,
            kind=None,
            title="Test of the alerts",
            lines=("Alerts of the AI gateway arrive here. Nothing is wrong.",),
            at=now,
        )

    def _record_test(self, results: Sequence[TestResult], actor: Actor) -> None:
        told = {one.channel: one.failure or "arrived" for one in results}
        has_failed = any(one.failure for one in results)
        result = Result.FAILED if has_failed else Result.OK
        self._audit.record(Action.ALERT_TEST, actor, None, Change(after=told), result)


def _facts(rule: Rule) -> Facts:
    return {
        "enabled": rule.is_on,
        "threshold": rule.threshold,
        "cool_down_minutes": int(rule.cool_down.total_seconds()) // 60,
    }
