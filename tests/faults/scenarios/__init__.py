"""All scenarios, by the row of the matrix that they show."""

from tests.faults.scenario import Scenario
from tests.faults.scenarios import clients, clocks, clusters, providers, sql, stores, workers

SCENARIOS: dict[str, Scenario] = {
    scenario.row: scenario
    for module in (workers, stores, clusters, sql, clients, providers, clocks)
    for scenario in module.SCENARIOS
}
