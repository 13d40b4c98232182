"""Who of the staff may do what."""

from itertools import pairwise

import pytest

from ai_gateway.domain.roles import PERMISSIONS, Permission, Role, allows, read_role

VIEW = Permission.VIEW_AI_ANALYTICS
OPERATORS = {Permission.RESET_USER_SPEND, Permission.MANAGE_LIMITS, Permission.MANAGE_KEYS}


@pytest.mark.parametrize(
    ("role", "permitted"),
    [
        (Role.NONE, set()),
        (Role.VIEWER, {VIEW}),
        (Role.OPERATOR, {VIEW, *OPERATORS}),
        (Role.ADMIN, set(Permission)),
    ],
)
def test_role_permits_what_the_table_says_and_no_more(
    role: Role, permitted: set[Permission]
) -> None:
    assert {permission for permission in Permission if allows(role, permission)} == permitted


def test_every_role_has_a_row() -> None:
    assert set(PERMISSIONS) == set(Role)


def test_each_role_may_do_what_the_one_before_may() -> None:
    rows = [PERMISSIONS[role] for role in Role]
    assert all(lower <= higher for lower, higher in pairwise(rows))


@pytest.mark.parametrize("role", Role)
def test_stored_word_names_its_role(role: Role) -> None:
    assert read_role(str(role)) is role


@pytest.mark.parametrize("word", ["", "ADMIN", "superuser", "admin ", "Role.ADMIN"])
def test_word_that_nobody_knows_gives_no_rights(word: str) -> None:
    assert read_role(word) is Role.NONE
