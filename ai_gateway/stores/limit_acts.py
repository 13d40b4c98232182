"""How limits are read and changed in SQL: together with the audit, and never unseen.

Whoever changes a limit says which choices they saw; where these stand no more, nothing is changed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.limit_choices import (
    Choices,
    LimitChoice,
    LimitSource,
    LimitSubject,
    seal,
)
from ai_gateway.domain.limits import (
    BUDGETS,
    EVERYBODY,
    INSTALLATION_ID,
    NO_LIMIT,
    Budget,
    Limit,
    Scope,
)
from ai_gateway.errors import ChangedMeanwhile, KeyNotFound, UserNotFound
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.house_rules import COMMON_SUBJECTS, HouseRulesTable, change_rules
from ai_gateway.stores.spend_limits import Chosen, chosen_limits, set_limit
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.sql_errors import write
from ai_gateway.stores.tables import SpendLimit, User, VirtualKey


@dataclass(frozen=True, slots=True)
class SubjectLimits:
    """The choices of one subject. `name` is a user's, for a key its owner's; `key_id` names a key.

    `touched` are the budgets that its calls have to fit into, with the limits in force.
    """

    subject: LimitSubject
    name: str
    choices: tuple[LimitChoice, ...]
    touched: Mapping[Budget, Limit]
    user_id: int | None = None
    key_id: str = ""

    @property
    def own(self) -> dict[Budget, Limit | None]:
        return {choice.budget: choice.own for choice in self.choices}

    @property
    def version(self) -> str:
        """What a change has to bring along."""
        return seal(self.own)


@dataclass(frozen=True, slots=True)
class LimitChange:
    """The choices of a subject before and after a change that is not committed yet."""

    before: SubjectLimits
    after: Choices


Review = Callable[[LimitChange], Iterable[AuditEntry]]


class LimitActs:
    """Each in one short transaction."""

    def __init__(self, engine: Engine, house_rules: HouseRulesTable) -> None:
        self._engine = engine
        self._house_rules = house_rules

    def read(self, subject: LimitSubject) -> SubjectLimits:
        """Raises `UserNotFound` or `KeyNotFound`."""
        with transaction(self._engine) as session:
            return self._read(session, subject)

    def key(self, key_id: str) -> LimitSubject:
        """The key of an id; raises `KeyNotFound`."""
        with transaction(self._engine) as session:
            number = session.scalar(select(VirtualKey.id).where(VirtualKey.key_id == key_id))
        if number is None:
            raise KeyNotFound(key_id)
        return LimitSubject(Scope.KEY, number)

    def change(
        self, subject: LimitSubject, wanted: Choices, *, seen: str | None, review: Review
    ) -> LimitChange:
        """Set limits; budgets that are not named keep theirs.

        `seen` is the version that whoever changes them saw, or None for whatever there is. Raises
        `ChangedMeanwhile` where it stands no more, unless all is as wanted; nothing happens then.
        """

        def change(session: Session) -> LimitChange:
            _lock(session, subject)
            before = self._read(session, subject)
            after = before.own | dict(wanted)
            if after == before.own:
                return LimitChange(before, after)
            if seen not in {None, before.version}:
                raise ChangedMeanwhile
            for budget, limit in wanted.items():
                if before.own[budget] != limit:
                    set_limit(session, subject.subject_id, budget, limit)
            _renew(session, subject)
            done = LimitChange(before, after)
            session.add_all(row_of(entry) for entry in review(done))
            return done

        return write(change, engine=self._engine)

    def with_own(self, budget: Budget, subject_ids: Iterable[int]) -> set[int]:
        """Those of these subjects that have a limit of their own for a budget."""
        query = select(SpendLimit.subject_id).where(
            SpendLimit.scope == budget.scope,
            SpendLimit.window == budget.window,
            SpendLimit.subject_id.in_(list(subject_ids)),
        )
        with transaction(self._engine) as session:
            return set(session.scalars(query))

    def _read(self, session: Session, subject: LimitSubject) -> SubjectLimits:
        name, user_id, key_id = _named(session, subject)
        subjects = _touched(subject, user_id)
        wanted = [*subjects.items(), (subject.scope, subject.subject_id), *COMMON_SUBJECTS]
        chosen = chosen_limits(session, wanted)
        common = self._house_rules.common(chosen)
        return SubjectLimits(
            subject,
            name,
            tuple(self._choice(subject, budget, chosen) for budget in subject.budgets),
            {
                budget: chosen.get(
                    (budget.scope, subjects[budget.scope], budget.window),
                    common.get(budget, NO_LIMIT),
                )
                for budget in BUDGETS
                if budget.scope in subjects
            },
            user_id,
            key_id,
        )

    def _choice(self, subject: LimitSubject, budget: Budget, chosen: Chosen) -> LimitChoice:
        own = chosen.get((budget.scope, subject.subject_id, budget.window))
        of_staff = chosen.get((budget.scope, EVERYBODY, budget.window))
        if of_staff is not None and not subject.is_common:
            return LimitChoice(budget, own, of_staff, LimitSource.STAFF)
        of_environment = self._house_rules.defaults.get(budget)
        if of_environment is not None:
            return LimitChoice(budget, own, of_environment, LimitSource.ENVIRONMENT)
        return LimitChoice(budget, own, NO_LIMIT, LimitSource.NOBODY)


def _named(session: Session, subject: LimitSubject) -> tuple[str, int | None, str]:
    if subject.is_common:
        return "", None, ""
    if subject.scope is Scope.USER:
        name = session.scalar(select(User.username).where(User.id == subject.subject_id))
        if name is None:
            raise UserNotFound(subject.subject_id)
        return name, subject.subject_id, ""
    query = select(User.username, User.id, VirtualKey.key_id).join_from(VirtualKey, User)
    row = session.execute(query.where(VirtualKey.id == subject.subject_id)).one_or_none()
    if row is None:
        raise KeyNotFound(str(subject.subject_id))
    username, user_id, key_id = row
    return username, user_id, key_id


def _touched(subject: LimitSubject, user_id: int | None) -> dict[Scope, int]:
    """The subjects whose budgets a call of this one touches; a default touches none."""
    subjects = {Scope.INSTALLATION: INSTALLATION_ID}
    if user_id is not None:
        subjects[Scope.USER] = user_id
    if subject.scope is Scope.KEY:
        subjects[Scope.KEY] = subject.subject_id
    return {} if subject == LimitSubject(Scope.USER) else subjects


def _lock(session: Session, subject: LimitSubject) -> None:
    """Let one change of a subject wait for another; SQLite has one writer anyway."""
    if subject.is_common:
        change_rules(session)
        return
    table = User if subject.scope is Scope.USER else VirtualKey
    session.execute(select(table.id).where(table.id == subject.subject_id).with_for_update())


def _renew(session: Session, subject: LimitSubject) -> None:
    """Make new versions of what workers have copies of."""
    if subject.is_common:
        return
    touched = VirtualKey.user_id if subject.scope is Scope.USER else VirtualKey.id
    keys = update(VirtualKey).where(touched == subject.subject_id)
    session.execute(keys.values(version=VirtualKey.version + 1))
