"""All that is fuzzed, by name."""

from tests.security.fuzz import (
    csv_cell,
    event_stream,
    operator_file,
    request_body,
    usage,
    virtual_key,
)
from tests.security.fuzz.target import Target

TARGETS: dict[str, Target] = {
    module.TARGET.name: module.TARGET
    for module in (event_stream, virtual_key, request_body, usage, csv_cell, operator_file)
}
