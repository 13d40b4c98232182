"""The audit as rows of a CSV file; every text that a spreadsheet would run is made harmless."""

import json
from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from ai_gateway.domain.audit import Facts
from ai_gateway.domain.audit_list import AuditLine
from ai_gateway.web.csv_export import Cell, Row

HEADER = (
    "Entry",
    "Time",
    "Actor",
    "Actor ID",
    "Role",
    "Address",
    "Action",
    "Target Kind",
    "Target ID",
    "Target",
    "Before",
    "After",
    "Reason",
    "Request ID",
    "Result",
)


def batches(found: Iterable[Iterable[AuditLine]], zone: ZoneInfo) -> Iterator[list[Row]]:
    """Times are those of the reporting zone with their offset, facts are JSON objects."""
    for batch in found:
        yield [_row(line, zone) for line in batch]


def _row(line: AuditLine, zone: ZoneInfo) -> list[Cell]:
    return [
        line.position.number,
        line.at.astimezone(zone),
        line.actor,
        line.actor_id,
        line.role,
        line.address,
        line.action,
        line.target_kind,
        line.target_id,
        line.target_name,
        _facts(line.before),
        _facts(line.after),
        line.reason,
        line.request_id,
        line.result,
    ]


def _facts(facts: Facts) -> str:
    return json.dumps(dict(facts), ensure_ascii=False) if facts else ""
