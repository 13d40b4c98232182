"""Addresses of the page that is shown, seen otherwise: all of its state is in the query string."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from flask import request, url_for

Word = TypeVar("Word", bound=StrEnum)


def here(**changes: object) -> str:
    """The address of this page with other arguments; None leaves one out."""
    kept = _kept(set(changes))
    kept |= {name: str(value) for name, value in changes.items() if value is not None}
    # Not by `url_for` alone: an argument called `_scheme` or `_external` would steer it.
    path = url_for(request.endpoint or "admin.index", **(request.view_args or {}))
    return f"{path}?{urlencode(kept)}" if kept else path


def user_page(user_id: int) -> str:
    """The page of one user's spend."""
    return f"{url_for('userspend.index')}{user_id}/"


def requests_page(**filters: object) -> str:
    """The list of requests in the window that is shown here, narrowed."""
    return _in_window("requests.index", filters)


def refusals_page(**filters: object) -> str:
    """Likewise of those that were refused."""
    return _in_window("requests.refused", filters)


def kept_fields(*without: str) -> dict[str, str]:
    """What a form with the method GET has to send along, so that it changes only its own."""
    return _kept(set(without))


def read_word(name: str, default: Word) -> Word:
    """The word that the address has for a choice, or the default where it makes no sense."""
    return word_of(request.args, name, default)


def word_of(arguments: Mapping[str, str], name: str, default: Word) -> Word:
    """Likewise of arguments that are handed in."""
    try:
        return type(default)(arguments.get(name, default))
    except ValueError:
        return default


def page_size(asked: int, sizes: Sequence[int]) -> int:
    """The largest of the sizes that was asked for, or the smallest that there is."""
    return max((size for size in sizes if size <= asked), default=sizes[0])


def _in_window(endpoint: str, filters: dict[str, object]) -> str:
    window = {name: request.args[name] for name in ("range", "from", "to") if name in request.args}
    return f"{url_for(endpoint)}?{urlencode(window | filters)}".rstrip("?")


def _kept(without: set[str]) -> dict[str, str]:
    return {name: text for name, text in request.args.items() if name not in without}
