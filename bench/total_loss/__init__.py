"""`make total-loss`: how long it takes until a Redis that was emptied can be trusted again."""
