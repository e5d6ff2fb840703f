"""What KubeRay's custom resources take, as far as cluster/kuberay uses it: any other field is refused.

Facts of the API `ray.io/v1` of KubeRay 1.5.1 (ray-operator/apis/ray/v1), written down by hand. `AuthOptions` is the
only one that 1.4 has not. Pod templates and what else is Kubernetes' own is `Any` here: `kubernetes_validate` knows it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """Fields as they are spelt in YAML; none that is not listed, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Strict):
    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=47)  # room for what KubeRay appends
    namespace: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class AuthOptions(Strict):
    mode: Literal["disabled", "token"] = "token"


class AutoscalerOptions(Strict):
    version: Literal["v1", "v2"] | None = None
    idleTimeoutSeconds: int | None = None
    upscalingMode: Literal["Default", "Aggressive", "Conservative"] | None = None
    image: str | None = None
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"] | None = None
    resources: dict[str, Any] | None = None
    securityContext: dict[str, Any] | None = None
    env: list[dict[str, Any]] = []
    envFrom: list[dict[str, Any]] = []
    volumeMounts: list[dict[str, Any]] = []


class HeadGroup(Strict):
    serviceType: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    enableIngress: bool = False
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class WorkerGroup(Strict):
    groupName: str
    replicas: int | None = None
    minReplicas: int = Field(ge=0)
    maxReplicas: int = Field(ge=0)
    numOfHosts: int = 1
    idleTimeoutSeconds: int | None = None  # autoscaler v2 only
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class ClusterSpec(Strict):
    rayVersion: str
    authOptions: AuthOptions | None = None
    enableInTreeAutoscaling: bool = False
    autoscalerOptions: AutoscalerOptions | None = None
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup] = []
    suspend: bool | None = None


class JobSpec(Strict):
    entrypoint: str
    runtimeEnvYAML: str | None = None
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode"] = "K8sJobMode"
    submitterPodTemplate: dict[str, Any] | None = None
    backoffLimit: int = Field(default=0, ge=0)
    activeDeadlineSeconds: int | None = Field(default=None, gt=0)
    shutdownAfterJobFinishes: bool = False
    ttlSecondsAfterFinished: int = Field(
        default=0, ge=0
    )  # KubeRay refuses it without shutdownAfterJobFinishes
    suspend: bool = False
    rayClusterSpec: ClusterSpec


class RayCluster(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class RayJob(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec
