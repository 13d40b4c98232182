"""Which priced model is nearest to one that nobody priced, by its name alone.

Nothing is guessed: the same model at another provider, or an older version of the same family at
the same provider. A fine-tuned model has no sibling, since its price is its own.
"""

import re
from collections.abc import Iterable

_DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_WORDS = re.compile(r"[-_. ]+")

Version = tuple[int, ...]


def plain_name(model: str) -> str:
    """The name without the vendor before a slash, a variant after a colon, and a date."""
    bare = model.lower().rpartition("/")[2].partition(":")[0]
    return "-".join(_WORDS.split(_DATE.sub("", bare)))


def is_own(model: str) -> bool:
    """Whether the name is that of a fine-tuned model, or of nothing that others serve too."""
    return model.startswith("ft:") or not plain_name(model)


def family_and_version(model: str) -> tuple[tuple[str, ...], Version]:
    """`claude-3-5-haiku` and `claude-haiku-4-5` are one family, with the versions 3.5 and 4.5."""
    words = plain_name(model).split("-")
    family = tuple(word for word in words if not word.isdigit())
    return family, tuple(int(word) for word in words if word.isdigit() and word.isascii())


def nearest_older(model: str, names: Iterable[str]) -> str | None:
    """The newest of `names` that is an older version of the model; None where there is none."""
    family, version = family_and_version(model)
    if is_own(model) or not version:
        return None
    older: list[tuple[Version, str]] = []
    for name in names:
        other, its_version = family_and_version(name)
        if other == family and its_version and its_version < version:
            older.append((its_version, name))
    # Of one version the plain name, which is the shortest.
    best = max((found for found, _ in older), default=None)
    return min((name for found, name in older if found == best), key=len, default=None)
