"""Goes through everything that Redis ever did and checks the invariants after every single step.

I1 to I7 are their names in the complaints: what accounts hold, what they spent, that nothing is
granted beyond a limit, leases, the sequence, the entries of each call, and calls that are closed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.stores import redis_keys
from tests.money import facts_of, numbers, summed_tally
from tests.protocol.aof import Command, Step

Row = dict[str, str]

CALL, ACCOUNT = redis_keys.call(""), redis_keys._ACCOUNT


@dataclass(slots=True)
class Replay:
    """What Redis held after the last step, and what was wrong on the way."""

    hashes: dict[str, Row] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    """When each hold lapses, in milliseconds of the server's clock."""
    entries: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    complaints: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    last_seq: int = 0
    _held: Counter[str] = field(default_factory=Counter)
    _spent: Counter[str] = field(default_factory=Counter)
    _limits: dict[str, list[int | None]] = field(default_factory=dict)

    def follow(self, steps: Iterable[Step]) -> None:
        """Take all steps and check each."""
        for step in steps:
            self._take(step)

    def calls(self) -> dict[str, Row]:
        """The records of all calls by their request ids."""
        return {
            name.removeprefix(CALL): row
            for name, row in self.hashes.items()
            if name.startswith(CALL)
        }

    def accounts(self) -> dict[str, Row]:
        return {name: row for name, row in self.hashes.items() if name.startswith(ACCOUNT)}

    def _take(self, step: Step) -> None:
        touched = {command[1] for command in step if len(command) > 1}
        touched |= {CALL + name for command in step for name in _leased(command)}
        calls = sorted(name for name in touched if name.startswith(CALL))
        before = {name: dict(self.hashes.get(name, {})) for name in calls}
        leases = dict(self.leases)
        new_entries = [entry for command in step for entry in self._apply(command)]
        for name in calls:
            self._follow_call(name, before[name], self.hashes.get(name, {}))
        for entry in new_entries:
            self._follow_entry(entry, leases)
        for name in calls:
            self._check_call(name, before[name], self.hashes.get(name, {}))
        self._check_accounts(name for name in touched if name.startswith(ACCOUNT))

    # What one command does

    def _apply(self, command: Command) -> list[Row]:
        verb, *words = command
        match verb.upper():
            case "XADD":
                entry = dict(_pairs(words[2:])) | {"at": words[1].partition("-")[0]}
                return [entry] if entry["kind"] != "none" else []
            case "HSET" | "HMSET":
                self._write(words[0], dict(_pairs(words[1:])))
            case "HINCRBY":
                row = self.hashes.setdefault(words[0], {})
                row[words[1]] = str(int(row.get(words[1], "0")) + int(words[2]))
            case "HDEL":
                self._forget(words[0], words[1:])
            case "ZADD":
                self.leases |= zip(words[2::2], map(int, words[1::2]), strict=True)
            case "ZREM":
                for name in _leased(command):
                    self.leases.pop(name, None)
            case "DEL" | "UNLINK" if words in ([redis_keys.FIGURES], [redis_keys.RESTORE]):
                self._forget(words[0], list(self.hashes.get(words[0], ())))
            case "SET" | "PEXPIREAT" | "SADD" | "SREM" | "XTRIM" | "XDEL":
                pass
            case _:
                self._complain("I1", f"nobody expected {command}")
        return []

    def _forget(self, name: str, fields: Sequence[str]) -> None:
        for field_name in fields:
            self.hashes.get(name, {}).pop(field_name, None)

    def _write(self, name: str, fields: Row) -> None:
        row = self.hashes.setdefault(name, {})
        for version in {"number", "rules_number"} & fields.keys():
            if _number(fields, version) < _number(row, version):
                self._complain("I3", f"{name} went back from {row} to {fields}")
        row.update(fields)

    def _follow_call(self, name: str, before: Row, after: Row) -> None:
        """Add up what the accounts of a call have to show now."""
        held = _number(after, "hold") - _number(before, "hold")
        spent = _number(after, "chg") - _number(before, "chg")
        for account in after.get("accounts", "").split():
            self._held[account] += held
            self._spent[account] += spent
        if not before.get("granted") and after.get("open") == "1":
            self.seen["granted"] += 1
            self._limits[name] = self._limits_now(after)
            self._check_limits(name, after)
        elif after.get("open") == "1" and held > 0:
            self.seen["held again"] += 1
            self._check_limits(name, after)

    def _limits_now(self, call: Row) -> list[int | None]:
        """The limits of the call's key, and of whoever has none, at this very moment."""
        key = self.hashes.get(call["key_record"], {})
        if key.get("status") != KeyStatus.ACTIVE:
            self._complain("I3", f"a hold for {call['key_record']}, which is {key.get('status')}")
        chosen = orjson.loads(key["record"])["limits"]
        common = orjson.loads(self.hashes[redis_keys.META]["rules"])["limits"]
        in_force = (own or of_all for own, of_all in zip(chosen, common, strict=True))
        return [limit["amount"] if limit["kind"] == "amount" else None for limit in in_force]

    def _check_limits(self, name: str, call: Row) -> None:
        if name not in self._limits:
            self._complain("I3", f"{name} holds and was never granted")
            return
        for account, limit in zip(call["accounts"].split(), self._limits[name], strict=True):
            row = self.hashes.get(account, {})
            used = _number(row, "spent") + _number(row, "held")
            if limit is not None and used > limit:
                self._complain("I3", f"{name}: {account} has {used} of {limit}")

    def _follow_entry(self, entry: Row, leases: Mapping[str, int]) -> None:
        request_id, at = entry["request_id"], int(entry["at"])
        is_open = self.hashes.get(CALL + request_id, {}).get("open") == "1"
        if entry["kind"] == "call" and is_open and at < leases.get(request_id, at):
            self._complain("I4", f"{request_id} lapsed at {at}, its lease is {leases[request_id]}")
        self.last_seq += 1
        if int(entry["seq"]) != self.last_seq:
            self._complain("I5", f"{entry['seq']} came after {self.last_seq - 1}")
        if entry["kind"] == "adjustment":
            self.seen["adjusted"] += 1
            for account in facts_of(entry)["accounts"]:
                self._spent[ACCOUNT + account] += int(entry["cost"])
        self.entries[entry["request_id"]].append(entry)

    # What has to be true after a step

    def _check_call(self, name: str, before: Row, after: Row) -> None:
        request_id = name.removeprefix(CALL)
        holds, is_open = _number(after, "hold") > 0, after.get("open") == "1"
        if holds and request_id not in self.leases:
            self._complain("I4", f"{name} holds without a lease")
        if request_id in self.leases and not is_open:
            self._complain("I4", f"{name} has a lease and is not open")
        if before.get("open") == "0" and after != before:
            self._complain("I7", f"{name} was closed and is {after} now")
        if before.get("open") == "1" and not is_open:
            self.seen["closed" if _number(after, "n") else "taken back"] += 1
        if _number(after, "n") > _number(before, "n") and is_open:
            self.seen["lapsed"] += 1
        self._check_entries(name, after, self.entries[request_id])

    def _check_entries(self, name: str, call: Row, entries: Sequence[Row]) -> None:
        found = [int(entry["entry_no"]) for entry in entries]
        if found != list(range(1, _number(call, "n") + 1)):
            self._complain("I6", f"{name} with n={call.get('n')} has the entries {found}")
        costs = sum(int(entry["cost"]) for entry in entries)
        if costs != _number(call, "chg") or (entries and int(entries[-1]["total"]) != costs):
            self._complain("I6", f"{name} with chg={call.get('chg')} has entries of {costs}")
        tally = summed_tally(entry["tally"] for entry in entries)
        if tally != (numbers(call.get("tally", "")) or (0,) * len(TALLY_FIELDS)):
            self._complain("I6", f"{name} has entries that count {tally}")
        if tally[0] != min(1, len(entries)):
            self._complain("I6", f"{name} counts {tally[0]} requests")

    def _check_accounts(self, names: Iterable[str]) -> None:
        for name in names:
            row = self.hashes.get(name, {})
            if _number(row, "held") != self._held[name]:
                self._complain("I1", f"{name} has {row}, its calls hold {self._held[name]}")
            if _number(row, "spent") != self._spent[name]:
                self._complain("I2", f"{name} has {row}, its calls cost {self._spent[name]}")

    def _complain(self, invariant: str, what: str) -> None:
        self.complaints.append(f"{invariant}: {what}")


def _leased(command: Command) -> tuple[str, ...]:
    """The request ids whose leases a command changes."""
    verb, *words = command
    if words[:1] != [redis_keys.LEASES]:
        return ()
    start, pace = (2, 2) if verb.upper() == "ZADD" else (1, 1)
    return tuple(words[start::pace])


def _pairs(words: Sequence[str]) -> Iterable[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)


def _number(row: Row, name: str) -> int:
    return int(row.get(name) or 0)
