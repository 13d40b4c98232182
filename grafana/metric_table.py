"""The one table of all metrics: what the gateway exports, and what boards and rules may use."""

from grafana.metric import Metric
from grafana.part_metrics import PART_METRICS
from grafana.state_metrics import STATE_METRICS
from grafana.worker_metrics import WORKER_METRICS

TABLE: tuple[Metric, ...] = (*WORKER_METRICS, *PART_METRICS, *STATE_METRICS)

BY_NAME = {metric.name: metric for metric in TABLE}
