"""Machines of tests may be slow: a slow example is no failure. And counters in one process."""

import pytest
from hypothesis import settings

from ai_gateway.telemetry.metrics import Metrics

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    return Metrics()
