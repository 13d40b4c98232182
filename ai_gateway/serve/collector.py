"""Python's collector of cycles, in processes that serve for a long time."""

import gc

COLLECT_AFTER = (10_000, 20, 50)
"""New objects, rounds of the first generation, rounds of the second; Python begins after 700."""


def spare_what_is_loaded() -> None:
    """Keep the collector from looking at modules again and again; call it when all are loaded.

    A call leaves a handful of small cycles. To look for them took a tenth of a worker's time, and
    more of a bookkeeper's, nearly all of it spent on objects that live as long as the process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
