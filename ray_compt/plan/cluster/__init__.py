"""What a chain takes on a cluster: hours and money from tables of devices and instances, bandwidths and measured rates.

Arithmetic alone: a `ray up` file is read (cluster_file.py), runs are not (chain/speeds.py does). Another device or
instance type is a row in devices.py or instances.py; what is taken for granted stands in assumptions.py. Must not
import Ray.
"""

from __future__ import annotations

from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.cluster_file import ClusterFile, NodeType, read_cluster
from ray_compt.plan.cluster.devices import DEVICES, Device, find_device
from ray_compt.plan.cluster.estimate import ClusterEstimate, StageEstimate, estimate
from ray_compt.plan.cluster.instances import INSTANCES, Instance, find_instance
from ray_compt.plan.cluster.measured import FinishedStage, Rates, measure_rates
from ray_compt.plan.cluster.rate import MeasuredStep, Rate, fit_rate
from ray_compt.plan.cluster.training import CHECKPOINT_BYTES

__all__ = [
    "CHECKPOINT_BYTES",
    "DEVICES",
    "INSTANCES",
    "Assumptions",
    "ClusterEstimate",
    "ClusterFile",
    "Device",
    "FinishedStage",
    "Instance",
    "MeasuredStep",
    "NodeType",
    "Rate",
    "Rates",
    "StageEstimate",
    "estimate",
    "find_device",
    "find_instance",
    "fit_rate",
    "measure_rates",
    "read_cluster",
]
