"""Staff passwords: Argon2id, hashed off the event loop. The only module that knows argon2."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent import get_hub, monkey

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)
"""RFC 9106, second recommended option: 64 MiB."""

COMMON_PASSWORDS = Path(__file__).parent / "data" / "common_passwords.txt"
"""One a line, in lower case; shorter ones are refused for their length."""

# Of random bytes that nobody kept, so that no password fits.
_STAND_IN = (
    "$argon2id$v=19$m=65536,t=3,p=4$"
    "5SbVgYPO8oehY+yVMWGT5g$cM0a7HkRKWggxkgFleKZvkptdhnXSCwgx0tnKJ1P2sI"
)


def hash_password(password: str) -> str:
    return run_blocking(HASHER.hash, password)


def verify_password(stored: str | None, password: str) -> bool:
    """Compare; without a stored hash it takes as long, and the answer is no."""
    try:
        run_blocking(HASHER.verify, stored or _STAND_IN, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def is_common_password(password: str) -> bool:
    """Whether it is one of those that are tried first; upper and lower case are the same."""
    return password.casefold() in _common_passwords()


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(COMMON_PASSWORDS.read_text().splitlines())


def run_blocking(
    function: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs
) -> Answer:
    """Call a function that keeps the processor busy, in a thread where gevent runs this one."""
    # gevent ships no types for these two.
    if monkey.is_module_patched("threading"):
        pool = get_hub().threadpool
        return cast(Answer, pool.apply(function, args, kwargs))
    return function(*args, **kwargs)
