"""A prompt cache that remembers prefixes, so that the second call of a kind reads what the first
one wrote. Unlike the real one it takes short prefixes too, and never lets one expire by time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from simulator.request import CacheBlock
from simulator.usage import CacheUse

_CAPACITY: Final = 2_000


class PromptCache:
    """Prefixes seen, by digest; beyond the capacity the one longest unused is forgotten."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def use(self, blocks: Sequence[CacheBlock]) -> CacheUse:
        """Look a prompt up and remember its marked prefixes.

        The longest known prefix is read, even where the mark has moved on since, as in a growing
        conversation; what lies between it and the later marks is written.
        """
        marks = [block for block in blocks if block.mark]
        if not marks:
            return CacheUse()
        read = covered = self._longest_known(blocks, marks[-1].tokens)
        written = {"5m": 0, "1h": 0, None: 0}
        for mark in marks:
            written[mark.mark] += max(0, mark.tokens - covered)
            covered = max(covered, mark.tokens)
            self._remember(mark.digest)
        return CacheUse(read=read, write_5m=written["5m"], write_1h=written["1h"])

    def _longest_known(self, blocks: Sequence[CacheBlock], limit: int) -> int:
        known = [block.tokens for block in blocks if block.digest in self._seen]
        return max((tokens for tokens in known if tokens <= limit), default=0)

    def _remember(self, digest: bytes) -> None:
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        while len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
