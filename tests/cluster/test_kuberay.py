"""cluster/kuberay: fields that KubeRay, Kueue and Kubernetes know, a token, and tries that go on where one broke."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

import ray_compt
from ray_compt.config import read_chain
from tests.cluster.files import CLUSTER, KUBERAY, document, documents, pins, program
from tests.cluster.kuberay import ClusterSpec, RayCluster, RayJob
from tests.cluster.kueue import ClusterQueue, Kueue, LocalQueue

KUBERNETES = "1.34"  # what the templates are held against; nothing in them is younger


@pytest.fixture(scope="module")
def job() -> RayJob:
    return RayJob.model_validate(document(KUBERAY / "rayjob.yaml"))


@pytest.fixture(scope="module")
def standing() -> RayCluster:
    return RayCluster.model_validate(document(KUBERAY / "raycluster.yaml"))


@pytest.fixture(scope="module")
def spec(job: RayJob) -> ClusterSpec:
    return job.spec.rayClusterSpec


def templates(spec: ClusterSpec) -> Iterator[dict[str, Any]]:
    yield spec.headGroupSpec.template
    yield from (group.template for group in spec.workerGroupSpecs)


def check_as_pod(template: dict[str, Any]) -> None:
    """Raises kubernetes_validate.ValidationError where Kubernetes does not know a field."""
    metadata = {"name": "pod", **template.get("metadata", {})}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_an_unknown_field_is_refused():
    wrong = document(KUBERAY / "rayjob.yaml")
    wrong["spec"]["rayClusterSpec"]["headGroupSpec"]["dashboardHost"] = "0.0.0.0"
    with pytest.raises(ValidationError, match="dashboardHost"):
        RayJob.model_validate(wrong)


def test_pod_templates_are_kubernetes_own(spec: ClusterSpec):
    for template in templates(spec):
        check_as_pod(template)


def test_an_unknown_field_of_a_pod_is_refused(spec: ClusterSpec):
    wrong = copy.deepcopy(spec.headGroupSpec.template)
    wrong["spec"]["containers"][0]["shmSize"] = "8Gi"
    with pytest.raises(kubernetes_validate.ValidationError, match="shmSize"):
        check_as_pod(wrong)


def test_autoscaler_options_are_kubernetes_own(spec: ClusterSpec):
    options = spec.autoscalerOptions
    assert options is not None
    container = {"name": "autoscaler", "image": "compt", "resources": options.resources}
    check_as_pod({"spec": {"containers": [{**container, "securityContext": options.securityContext}]}})


def test_the_shared_disk_is_kubernetes_own_and_is_what_the_pods_mount(spec: ClusterSpec):
    claim = document(KUBERAY / "storage.yaml")
    kubernetes_validate.validate(claim, KUBERNETES, strict=True)
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for template in templates(spec):
        (volume,) = template["spec"]["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        (mount,) = template["spec"]["containers"][0]["volumeMounts"]
        assert (mount["name"], mount["mountPath"]) == (volume["name"], "/data")


def test_job_and_standing_cluster_have_the_same_cluster(job: RayJob, standing: RayCluster):
    assert job.spec.rayClusterSpec == standing.spec


def test_a_token_is_asked_for_and_nothing_is_public(spec: ClusterSpec):
    assert spec.authOptions is not None
    assert spec.authOptions.mode == "token"
    assert spec.headGroupSpec.serviceType == "ClusterIP"
    assert not spec.headGroupSpec.enableIngress
    for template in templates(spec):
        assert not template["spec"].get("hostNetwork", False)
        assert not any("hostPort" in port for port in template["spec"]["containers"][0].get("ports", []))


def test_the_cluster_grows_from_a_head_without_gpus_and_shrinks_to_it(spec: ClusterSpec):
    assert spec.enableInTreeAutoscaling
    assert spec.autoscalerOptions is not None
    assert spec.autoscalerOptions.version == "v2"
    assert spec.headGroupSpec.rayStartParams["num-cpus"] == "0"
    head, (group,) = spec.headGroupSpec.template["spec"]["containers"][0], spec.workerGroupSpecs
    assert "nvidia.com/gpu" not in head["resources"]["limits"]
    assert group.minReplicas == 0


def test_a_gpu_pod_has_room_for_a_worker_and_its_readers(spec: ClusterSpec):
    (group,), workers = spec.workerGroupSpecs, read_chain("vit_4", ()).chain.stages[0].workers
    limits = group.template["spec"]["containers"][0]["resources"]["limits"]
    assert float(limits["nvidia.com/gpu"]) == workers.gpus
    assert float(limits["cpu"]) > workers.cpus
    assert group.maxReplicas == workers.max + 1  # and the teacher


def test_gpu_pods_tolerate_spot_and_prefer_it(spec: ClusterSpec):
    (group,) = spec.workerGroupSpecs
    pod = group.template["spec"]
    tolerated = {toleration["key"] for toleration in pod["tolerations"]}
    assert {"cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority"} <= tolerated
    affinity = pod["affinity"]["nodeAffinity"]
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in affinity
    assert len(affinity["preferredDuringSchedulingIgnoredDuringExecution"]) == 4


def test_pods_run_without_rights_as_the_images_user(spec: ClusterSpec):
    (user,) = (
        line.split()[1]
        for line in (CLUSTER / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("USER ")
    )
    for template in templates(spec):
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == int(user)
        for container in pod["containers"]:
            assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_a_job_is_tried_again_by_a_command_that_goes_on_and_needs_no_quotes(job: RayJob):
    assert job.spec.backoffLimit > 0
    assert job.spec.shutdownAfterJobFinishes
    words = job.spec.entrypoint.split()
    assert words[:2] == ["compt", "train"]
    assert words[words.index("--run-dir") + 1].startswith("/data/")
    assert not set(job.spec.entrypoint) & set("'\"$`\\*?{}[]()<>|&;#~!")


def test_the_version_is_that_of_constraints(spec: ClusterSpec):
    assert spec.rayVersion == pins()["ray"]


def test_kueue_has_a_queue_for_the_job_with_room_for_it(job: RayJob):
    found = [Kueue.validate_python(each) for each in documents(KUBERAY / "kueue.yaml")]
    (queue,) = (each for each in found if isinstance(each, LocalQueue))
    (whole,) = (each for each in found if isinstance(each, ClusterQueue))
    assert job.metadata.labels["kueue.x-k8s.io/queue-name"] == queue.metadata.name
    assert job.metadata.annotations["kueue.x-k8s.io/elastic-job"] == "true"
    assert queue.spec.clusterQueue == whole.metadata.name
    (group,) = whole.spec.resourceGroups
    (quotas,) = group.flavors
    assert [quota.name for quota in quotas.resources] == group.coveredResources
    (gpus,) = (quota.nominalQuota for quota in quotas.resources if quota.name == "nvidia.com/gpu")
    assert isinstance(gpus, int)
    assert gpus >= job.spec.rayClusterSpec.workerGroupSpecs[0].maxReplicas


def test_kustomization_names_files_that_exist_and_our_version():
    kustomization = document(KUBERAY / "kustomization.yaml")
    assert all((KUBERAY / name).is_file() for name in kustomization["resources"])
    (image,) = kustomization["images"]
    assert image["newTag"] == ray_compt.__version__


@pytest.mark.skipif(program("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_image_and_namespace_everywhere():
    done = subprocess.run(
        [program("kubectl"), "kustomize", KUBERAY], capture_output=True, text=True, timeout=60, check=True
    )
    claim, made = YAML(typ="safe").load_all(done.stdout)
    assert claim["metadata"]["namespace"] == made["metadata"]["namespace"] == "compt"
    for template in templates(RayJob.model_validate(made).spec.rayClusterSpec):
        (container,) = template["spec"]["containers"]
        assert container["image"] == f"REGISTRY/compt:{ray_compt.__version__}"


def test_every_file_is_looked_at():
    looked_at = {"rayjob", "raycluster", "kueue", "storage", "kustomization"}
    assert {Path(file).stem for file in KUBERAY.glob("*.yaml")} == looked_at
