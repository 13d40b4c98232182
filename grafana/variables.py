"""What a reader chooses at the head of a board, in the classic JSON."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana.panel import DATA_SOURCE, Json


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Any of the values of a label, or all; `query` is Grafana's `label_values(...)`."""

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class WordChoice:
    """One of a few words; the first is chosen at first."""

    name: str
    label: str
    words: tuple[str, ...]


Choice = LabelChoice | WordChoice

GATEWAY_ADDRESS = "http://127.0.0.1:8000"


def variables(choices: Sequence[Choice]) -> list[Json]:
    """Return a board's list: the data source first, the address of the gateway last."""
    return [_data_source(), *map(_variable, choices), _gateway_address()]


def _data_source() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
    }


def _gateway_address() -> Json:
    """A field for the links to the staff pages; a link to the board can carry it."""
    return {
        "type": "textbox",
        "name": "gateway_url",
        "label": "Gateway",
        "query": GATEWAY_ADDRESS,
        "current": {"text": GATEWAY_ADDRESS, "value": GATEWAY_ADDRESS},
    }


def _variable(choice: Choice) -> Json:
    return _words(choice) if isinstance(choice, WordChoice) else _label_values(choice)


def _words(choice: WordChoice) -> Json:
    first = choice.words[0]
    return {
        "type": "custom",
        "name": choice.name,
        "label": choice.label,
        "query": ",".join(choice.words),
        "multi": False,
        "includeAll": False,
        "current": {"text": first, "value": first},
    }


def _label_values(choice: LabelChoice) -> Json:
    return {
        "type": "query",
        "name": choice.name,
        "label": choice.label,
        "datasource": DATA_SOURCE,
        "definition": choice.query,
        "query": {"query": choice.query, "refId": f"Variable-{choice.name}"},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
