"""Three counts of each call side by side: the server's, its tokenizer's, and the ledger's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from bench.model_server.calls import Answered

INPUT_USD = Decimal("0.123457")
OUTPUT_USD = Decimal("0.765433")
"""For a million tokens; chosen so that most costs have to be rounded to a nano-dollar."""

Counts = tuple[int, int]
Row = Mapping[str, str | int | None]
"""One call as `flask ledger export --format jsonl` tells it."""

WORDS = {"outcome": "success", "confidence": "reported", "price_status": "priced"}
HEADINGS = ("text", "mode", "cap", "server", "tokenizer", "ledger", "nano-USD", "due", "")


@dataclass(frozen=True, slots=True)
class Compared:
    """One call, counted three times; a count is (input, output)."""

    answered: Answered
    tokenizer: Counts
    ledger: Row

    @property
    def booked(self) -> Counts:
        return int(self.ledger["input_tokens"] or 0), int(self.ledger["output_tokens"] or 0)

    @property
    def cost_due(self) -> int:
        """Price x the server's counts, in nano-USD, computed apart from the gateway."""
        sent, received = self.answered.usage
        exact = 1000 * (sent * Fraction(INPUT_USD) + received * Fraction(OUTPUT_USD))
        return round(exact)  # halves go to the even one

    def differences(self) -> list[str]:
        """What is not as it should be, in words; empty where everything is."""
        found = []
        if self.tokenizer != self.answered.usage:
            found.append("tokenizer")
        if self.booked != self.answered.usage:
            found.append("counts")
        if self.ledger["cost_nano_usd"] != self.cost_due:
            found.append("cost")
        stated = self.answered.cost_usd
        if stated is None and not self.answered.case.stream:
            found.append("no cost header")
        if stated is not None and Decimal(stated) * 10**9 != self.cost_due:
            found.append("cost header")
        found += [f"{name} is {self.ledger[name]}" for name in WORDS if self._differs(name)]
        return found

    def cells(self) -> tuple[str, ...]:
        case = self.answered.case
        return (
            case.text,
            case.mode,
            f"{case.cap} {case.cap_name}" if case.cap_name else "-",
            _pair(self.answered.usage),
            _pair(self.tokenizer),
            _pair(self.booked),
            str(self.ledger["cost_nano_usd"]),
            str(self.cost_due),
            ", ".join(self.differences()) or "equal",
        )

    def _differs(self, name: str) -> bool:
        return self.ledger[name] != WORDS[name]


def table(compared: Sequence[Compared]) -> str:
    lines = [HEADINGS, *(one.cells() for one in compared)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def summary(compared: Sequence[Compared]) -> str:
    different = sum(bool(one.differences()) for one in compared)
    sent, received = (sum(one.booked[side] for one in compared) for side in (0, 1))
    cost = sum(one.cost_due for one in compared)
    return (
        f"{len(compared)} calls, {sent} input and {received} output tokens, {cost} nano-USD: "
        f"{different or 'none'} different from what the model server counted"
    )


def _pair(counts: Counts) -> str:
    return f"{counts[0]} + {counts[1]}"
