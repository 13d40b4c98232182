"""Whose rows are meant, as a condition that the index of users serves."""

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from ai_gateway.domain.request_list import Whose
from ai_gateway.stores.tables import User, VirtualKey


def owned(
    user_id: ColumnElement[int] | InstrumentedAttribute[int], whose: Whose
) -> list[ColumnElement[bool]]:
    """The rows of one user; those of a key are looked for among its owner's, which an index has."""
    found: list[ColumnElement[bool]] = []
    if whose.user_id is not None:
        found.append(user_id == whose.user_id)
    if whose.name:
        is_named = or_(User.username == whose.name, User.email == whose.name)
        found.append(user_id == select(User.id).where(is_named).limit(1).scalar_subquery())
    if whose.key_id:
        owner = select(VirtualKey.user_id).where(VirtualKey.key_id == whose.key_id)
        found.append(user_id == owner.scalar_subquery())
    return found
