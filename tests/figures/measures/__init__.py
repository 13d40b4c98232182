"""The ten figures in their order, by number."""

from tests.figures.figure import Figure
from tests.figures.measures import (
    aborted,
    hostile,
    isolation,
    kills,
    overspend,
    revocation,
    soak,
    sql_away,
    total_loss,
)

FIGURES: dict[int, Figure] = {
    figure.number: figure
    for figure in (
        overspend.FIGURE,
        kills.OF_WORKERS,
        kills.OF_STORES,
        sql_away.FIGURE,
        total_loss.FIGURE,
        soak.FIGURE,
        aborted.FIGURE,
        revocation.FIGURE,
        isolation.FIGURE,
        hostile.FIGURE,
    )
}
