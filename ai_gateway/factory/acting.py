"""The services that change something: what staff and holders of keys may do."""

import secrets
from dataclasses import dataclass

import redis

from ai_gateway.domain.clock import Clock
from ai_gateway.factory.alerts import alert_admin
from ai_gateway.factory.budgets import budgets_of
from ai_gateway.services.alert_admin import AlertAdmin
from ai_gateway.services.audit import Audit
from ai_gateway.services.budgets import Budgets
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.own_password import OwnPassword
from ai_gateway.services.sign_in import SignIn
from ai_gateway.services.spend_reset import SpendReset
from ai_gateway.services.user_admin import UserAdmin
from ai_gateway.settings import Settings
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.log_in_limits import LogInLimits
from ai_gateway.stores.reset_records import ResetRecords
from ai_gateway.stores.resets import SpendResets
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.tables import db
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable


@dataclass(frozen=True, slots=True)
class Acting:
    """Each act of theirs is in the audit."""

    audit: Audit
    key_admin: KeyAdmin
    user_admin: UserAdmin
    sign_in: SignIn
    own_password: OwnPassword
    spend_reset: SpendReset
    budgets: Budgets
    alerts: AlertAdmin


@dataclass(frozen=True, slots=True)
class KeyStores:
    """Where keys are kept, where their copies are published, and what digests them."""

    table: KeyTable
    copies: KeyCopies
    pepper: bytes


def acting_services(
    settings: Settings, keys: KeyStores, client: redis.Redis, clock: Clock
) -> Acting:
    """Each asks the stores that it changes."""
    audit = Audit(AuditTable(db.engine), clock)
    users = UserTable(db.engine)
    sign_in = SignIn(StaffSessions(), LogInLimits(client), audit, clock)
    key_admin = KeyAdmin(
        keys.table,
        keys.copies,
        pepper=keys.pepper,
        clock=clock,
        random_bytes=secrets.token_bytes,
    )
    return Acting(
        audit=audit,
        key_admin=key_admin,
        user_admin=UserAdmin(users, key_admin, audit, clock),
        sign_in=sign_in,
        own_password=OwnPassword(users, sign_in, audit),
        budgets=budgets_of(settings, (keys.table, keys.copies), client, audit, clock),
        spend_reset=SpendReset(
            SpendResets(client),
            ResetRecords(db.engine),
            audit=audit,
            clock=clock,
            zone=settings.timezone,
        ),
        alerts=alert_admin(settings, audit, clock),
    )
