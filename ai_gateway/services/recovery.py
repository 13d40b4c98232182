"""Notices that Redis lost its memory or went back in time, and puts back what this worker knows.

The bookkeeper restores the counters from the ledger; a worker adds what only it knows: calls that
are running, and settlements that may be neither in Redis nor in the ledger (money.md 1.8, 1.10).
"""

import logging
from zoneinfo import ZoneInfo

from ai_gateway.domain.call import AdmittedCall, FinishedCall
from ai_gateway.domain.limits import forget_at
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.services.admission import Admitted
from ai_gateway.services.settlement import SettlementMemory
from ai_gateway.stores.lost_records import Adopted, LostRecords
from ai_gateway.stores.meter import Floor, Meter

logger = logging.getLogger(__name__)


class Recovery:
    """Belongs to one worker; runs on the thread of its open calls."""

    def __init__(
        self, meter: Meter, records: LostRecords, memory: SettlementMemory, zone: ZoneInfo
    ) -> None:
        self._meter = meter
        self._records = records
        self._memory = memory
        self._zone = zone
        self._epoch: str | None = None
        self._server = ""

    def watch(self) -> None:
        """Compare the epoch and the server; raises `BudgetUnavailable` while Redis is away."""
        life = self._records.life()
        if life.epoch is None:
            return
        if life.epoch == self._epoch:
            if self._meter.went_back or self._is_missed_by(life.server):
                logger.error("redis_went_back")
                self._records.forget_epoch(life.epoch)
            return
        if self._epoch is not None:
            # Restored from the ledger, which may lack what was lost before it was booked.
            self._memory.doubt_all()
        self._meter.begin_anew()
        self._epoch, self._server = life.epoch, life.server

    def _is_missed_by(self, server: str) -> bool:
        """Whether a server that is new to us lacks something that the last one acknowledged.

        Its sequence alone does not tell: other calls may have brought it up to ours meanwhile.
        """
        if server == self._server:
            return False
        if self._records.lacks_any(self._memory.recent()):
            return True
        self._server = server
        return False

    def settle_lost(self) -> None:
        """Compare doubtful settlements with the ledger and book what it lacks.

        Raises `GatewayUnavailable` while SQL or Redis is away; what is left waits.
        """
        while self._memory.lost:
            call, finished = self._memory.lost[0]
            if not self._settle_again(call, finished):
                return
            self._memory.lost.popleft()

    def adopt(self, admitted: Admitted, floor: Floor) -> bool:
        """Hold again for a running call whose record is gone; False while that has to wait."""
        return self._make_record(admitted.call, admitted.call.held, floor) is not Adopted.COLD

    def _settle_again(self, call: AdmittedCall, finished: FinishedCall) -> bool:
        booked = self._records.booked(call.request_id)
        if booked.entries and booked.cost == finished.cost:
            # The ledger has it all; a record that came back with an old state must not stay open.
            self._meter.withdraw(call, in_ledger=finished)
            return True
        floor = Floor(finished.cost, finished.tally())
        made = self._make_record(call, ZERO, floor)
        if made is Adopted.OK:
            logger.warning("settled_again", extra={"request_id": call.request_id})
            self._meter.settle(call, finished)
        return made is not Adopted.COLD

    def _make_record(self, call: AdmittedCall, hold: Money, floor: Floor) -> Adopted:
        return self._records.adopt(
            call,
            self._records.booked(call.request_id),
            hold=hold,
            floor=floor,
            forget_at=forget_at(call.admitted_at, self._zone),
        )
