"""Who of the staff may do what: one table from role to permissions."""

from enum import StrEnum
from types import MappingProxyType


class Permission(StrEnum):
    """What a page or an action may ask for."""

    VIEW_AI_ANALYTICS = "view_ai_analytics"
    RESET_USER_SPEND = "reset_user_spend"
    MANAGE_LIMITS = "manage_limits"
    MANAGE_KEYS = "manage_keys"
    MANAGE_USERS = "manage_users"
    MANAGE_PRICES = "manage_prices"
    PAUSE_SERVICE = "pause_service"
    MANAGE_ALERTS = "manage_alerts"


class Role(StrEnum):
    """Kept in the column `role` of a user; `none` sees no staff page."""

    NONE = "none"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = frozenset({Permission.VIEW_AI_ANALYTICS})
_OPERATOR = _VIEWER | {
    Permission.RESET_USER_SPEND,
    Permission.MANAGE_LIMITS,
    Permission.MANAGE_KEYS,
}
PERMISSIONS = MappingProxyType(
    {
        Role.NONE: frozenset[Permission](),
        Role.VIEWER: _VIEWER,
        Role.OPERATOR: _OPERATOR,
        Role.ADMIN: frozenset(Permission),
    }
)


def allows(role: Role, permission: Permission) -> bool:
    return permission in PERMISSIONS[role]


def read_role(word: str) -> Role:
    """The role that a stored word names; a word that nobody knows gives no rights."""
    try:
        return Role(word)
    except ValueError:
        return Role.NONE
