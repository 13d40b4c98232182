"""Every key name in Redis. All share one hash tag, so that one script may touch them all.

Nothing else in the project knows the tag.
"""

from ai_gateway.domain.limits import Account, account_from_name

_TAG = "{agw}"

META = f"{_TAG}:meta"
"""Hash: `epoch` (present when the counters can be trusted), `seq` (entries ever emitted), and the
house rules as `rules`, `rules_version` and `rules_number`."""

RESTORE = f"{_TAG}:restore"
"""Hash with an end: the bookkeeper who writes the counters anew, and its attempt."""

LEASES = f"{_TAG}:leases"
"""Sorted set: request id by the moment (Redis TIME, ms) at which its hold lapses."""

OUTBOX = f"{_TAG}:outbox"
"""Stream: what is settled and not yet in the SQL ledger."""

REFUSED = f"{_TAG}:refused"
"""Set: accounts whose last decision was a refusal."""

REVOCATIONS = f"{_TAG}:revocations"
"""Hash: keys that were revoked while SQL was away, by whom and when; until SQL knows."""

LOG_INS = f"{_TAG}:log_ins"
"""Counters of failed log-ins, each with an expiry: `pair:`, `address:`, `failures:`, `pause:`."""

REFUSALS = f"{_TAG}:refusals"
"""Stream, capped: refused requests that are not in SQL yet."""

FIGURES = f"{_TAG}:figures"
"""Hash: the bookkeeper's figures for `/metrics`."""

FIGURE_COUNTS = f"{_TAG}:figure_counts"
"""Hash: what bookkeepers have counted for `/metrics`; grows only."""

TRACING = f"{_TAG}:tracing"
"""String: the last check of LangSmith, as JSON."""

TRACING_WORKERS = f"{_TAG}:tracing:workers"
"""Hash: how the sending of traces goes, as JSON for each worker."""

CONFIG_VERSION = f"{_TAG}:config_version"
"""String: the name of the published prices in force; every worker looks at it once a second."""

_ACCOUNT = f"{_TAG}:account:"
EVERY_ACCOUNT = f"{_ACCOUNT}*"
"""Matches all counters; for housekeeping, never on the path of a call."""

_CALL = f"{_TAG}:call:"
_KEY = f"{_TAG}:key:"


def account(subject: Account) -> str:
    """Hash `spent`, `held` (nano-USD) and `refused`."""
    return f"{_ACCOUNT}{subject.name}"


def account_of(name: str) -> Account:
    """Read back what `account` wrote."""
    return account_from_name(name.removeprefix(_ACCOUNT))


def accounts_pattern(window_id: str) -> str:
    """Match the accounts of one window; for proofs, never on the path of a call."""
    return f"{_ACCOUNT}*:{window_id}"


def call(request_id: str) -> str:
    """Hash: the record of one call while it runs, and 15 minutes longer."""
    return f"{_CALL}{request_id}"


def reset_mark(reset_id: str) -> str:
    """String: the amount that a reset took off, so that it is done once."""
    return f"{_TAG}:reset:{reset_id}"


def once(name: str) -> str:
    """String: something that was asked for by this name, so that it is done once."""
    return f"{_TAG}:once:{name}"


def outage(name: str) -> str:
    """String: when a part that keeps alerts was found away, or how far one who tells of it is."""
    return f"{_TAG}:outage:{name}"


def response(response_id: str) -> str:
    """String: the user who got a stored response, and the provider that keeps it."""
    return f"{_TAG}:response:{response_id}"


def idempotency(key_id: str) -> str:
    """Hash: the calls of a virtual key by their idempotency keys; request id, fingerprint, outcome.

    Those are digests; the outcome is empty while the call runs.
    """
    return f"{_TAG}:idempotency:{key_id}"


def idempotency_ages(key_id: str) -> str:
    """Sorted set: the same idempotency keys by the moment of admission (Redis TIME, ms)."""
    return f"{_TAG}:idempotency_ages:{key_id}"


def config(version: str) -> str:
    """Hash: published prices by the name of their version, with the list that was fetched."""
    return f"{_TAG}:config:{version}"


def key_record(key_id: str) -> str:
    """Hash: the copy of a virtual key with its limits, `version` and `status`."""
    return f"{_KEY}{key_id}"
