"""What Kueue's resources take, as far as cluster/kuberay/kueue.yaml uses it: any other field is refused.

Facts of the API `kueue.x-k8s.io/v1beta2` (apis/kueue/v1beta2), written down by hand.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from tests.cluster.kuberay import Metadata, Strict

VERSION = Literal["kueue.x-k8s.io/v1beta2"]


class Flavor(Strict):
    nodeLabels: dict[str, str] = Field(default_factory=dict)
    nodeTaints: list[dict[str, str]] = Field(default_factory=list)
    tolerations: list[dict[str, str]] = Field(default_factory=list)


class Quota(Strict):
    name: str
    nominalQuota: int | str
    borrowingLimit: int | str | None = None


class FlavorQuotas(Strict):
    name: str
    resources: list[Quota]


class ResourceGroup(Strict):
    coveredResources: list[str]
    flavors: list[FlavorQuotas]


class Preemption(Strict):
    withinClusterQueue: Literal["Never", "LowerPriority", "LowerOrNewerEqualPriority"] = "Never"
    reclaimWithinCohort: Literal["Never", "LowerPriority", "Any"] = "Never"


class QueueSpec(Strict):
    namespaceSelector: dict[str, Any] | None = None
    queueingStrategy: Literal["StrictFIFO", "BestEffortFIFO"] = "BestEffortFIFO"
    preemption: Preemption | None = None
    resourceGroups: list[ResourceGroup]


class LocalSpec(Strict):
    clusterQueue: str


class ResourceFlavor(Strict):
    apiVersion: VERSION
    kind: Literal["ResourceFlavor"]
    metadata: Metadata
    spec: Flavor = Flavor()


class ClusterQueue(Strict):
    apiVersion: VERSION
    kind: Literal["ClusterQueue"]
    metadata: Metadata
    spec: QueueSpec


class LocalQueue(Strict):
    apiVersion: VERSION
    kind: Literal["LocalQueue"]
    metadata: Metadata
    spec: LocalSpec


class WorkloadPriorityClass(Strict):
    apiVersion: VERSION
    kind: Literal["WorkloadPriorityClass"]
    metadata: Metadata
    value: int
    description: str = ""


Kueue: TypeAdapter[Any] = TypeAdapter(
    Annotated[ResourceFlavor | ClusterQueue | LocalQueue | WorkloadPriorityClass, Field(discriminator="kind")]
)
