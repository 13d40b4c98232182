"""Prefixes that are written once and read afterwards."""

from typing import Literal

from simulator.prompt_cache import PromptCache
from simulator.request import CacheBlock
from simulator.usage import CacheUse

Mark = Literal["5m", "1h"]


def block(name: str, tokens: int, mark: Mark | None = None) -> CacheBlock:
    return CacheBlock(name.encode(), tokens, mark)


def test_unmarked_prompt_uses_no_cache() -> None:
    cache = PromptCache()
    assert cache.use([block("a", 10)]) == CacheUse()
    assert cache.use([block("a", 10)]) == CacheUse()


def test_marked_prefix_is_written_first_and_read_next() -> None:
    cache = PromptCache()
    blocks = [block("a", 10, "5m"), block("ab", 12)]
    assert cache.use(blocks) == CacheUse(read=0, write_5m=10)
    assert cache.use(blocks) == CacheUse(read=10)


def test_retentions_are_told_apart() -> None:
    blocks = [block("a", 10, "1h"), block("ab", 15, "5m")]
    assert PromptCache().use(blocks) == CacheUse(write_5m=5, write_1h=10)


def test_growing_conversation_reads_what_an_earlier_mark_wrote() -> None:
    cache = PromptCache()
    cache.use([block("a", 10), block("ab", 20, "5m")])
    longer = [block("a", 10), block("ab", 20), block("abc", 50, "5m")]
    assert cache.use(longer) == CacheUse(read=20, write_5m=30)


def test_prefix_longest_unused_is_forgotten() -> None:
    cache = PromptCache(capacity=2)
    for name in ("a", "b", "a", "c"):
        cache.use([block(name, 10, "5m")])
    assert cache.use([block("a", 10, "5m")]) == CacheUse(read=10)
    assert cache.use([block("b", 10, "5m")]) == CacheUse(write_5m=10)
