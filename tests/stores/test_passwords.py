"""Hashing of staff passwords."""

import subprocess
import sys

from ai_gateway.stores import passwords
from ai_gateway.stores.passwords import HASHER, hash_password, run_blocking, verify_password


def test_a_password_fits_its_own_hash_alone() -> None:
    stored = hash_password("one password")
    assert stored.startswith("$argon2id$")
    assert verify_password(stored, "one password")
    assert not verify_password(stored, "another password")


def test_without_a_stored_hash_the_same_work_is_done() -> None:
    assert not verify_password(None, "")
    # A stand-in of other parameters would take another time, which tells who exists.
    assert not HASHER.check_needs_rehash(passwords._STAND_IN)


def test_a_stored_value_that_is_no_hash_fits_nothing() -> None:
    assert not verify_password("plain text", "plain text")


def test_blocking_work_runs_at_once_where_gevent_does_not() -> None:
    assert run_blocking(divmod, 7, 2) == (3, 1)


def test_blocking_work_leaves_the_event_loop_where_gevent_runs() -> None:
    program = """
from gevent import monkey
monkey.patch_all()
import _thread
from ai_gateway.stores.passwords import hash_password, run_blocking, verify_password
ident = monkey.get_original("_thread", "get_ident")
assert run_blocking(ident) != ident()
assert verify_password(hash_password("one password"), "one password")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
