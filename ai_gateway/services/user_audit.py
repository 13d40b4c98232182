"""What the audit says of a change of a user: one line for each kind of change in it."""

from ai_gateway.domain.audit import Action, Actor, AuditEntry, Change, Facts, user_target
from ai_gateway.services.audit import Audit
from ai_gateway.stores.users import UserChange, UserFacts


def entries_of(change: UserChange, actor: Actor, audit: Audit) -> list[AuditEntry]:
    """The lines of a user that was made, changed or deleted; none where nothing changed."""
    user = change.after or change.before
    if user is None:
        return []
    target = user_target(user.user_id, user.username)
    return [audit.entry(action, actor, target, told) for action, told in _told(change)]


def _told(change: UserChange) -> list[tuple[Action, Change]]:
    before, after = change.before, change.after
    if before is None:
        return [(Action.USER_CREATE, Change(after=_all(after)))]
    if after is None:
        return [(Action.USER_DELETE, Change(before=_all(before)))]
    told = []
    if before.email != after.email:
        told.append((Action.USER_EDIT, Change({"email": before.email}, {"email": after.email})))
    if before.role is not after.role:
        told.append((Action.ROLE_CHANGE, Change({"role": before.role}, {"role": after.role})))
    if before.is_enabled is not after.is_enabled:
        action = Action.USER_ENABLE if after.is_enabled else Action.USER_DISABLE
        told.append((action, Change({"enabled": before.is_enabled}, {"enabled": after.is_enabled})))
    if change.is_password_new:
        told.append((Action.PASSWORD_CHANGE, Change()))
    return told


def _all(user: UserFacts | None) -> Facts:
    if user is None:
        return {}
    return {
        "username": user.username,
        "email": user.email,
        "role": user.role.value,
        "enabled": user.is_enabled,
        "can_log_in": user.has_password,
    }
