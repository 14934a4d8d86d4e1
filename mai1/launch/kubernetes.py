"""A JobSet (jobset.x-k8s.io/v1alpha2): one indexed Job with a pod a node, all started again when one fails.

Fields as in kubernetes-sigs/jobset, api/jobset/v1alpha2/jobset_types.go, and in Kubernetes' batch/v1 and core/v1.
"""

import yaml

from mai1.launch.config import Device, JobConfig
from mai1.launch.node import FINAL_CODE
from mai1.launch.platforms import node_command
from mai1.launch.submission import Submission, addressed
from mai1.launch.training import Training, check_path

HOSTNAME = "kubernetes.io/hostname"


def kubernetes(config: JobConfig, training: Training, *, name: str) -> Submission:
    """A job as configured. ValueError names what is missing."""
    check_path(training.run)
    for key in ("image", "claim"):
        if not getattr(config.k8s, key):
            raise ValueError(
                f"k8s.{key} is missing: target=k8s needs an image with mai1 and a claim that all pods mount"
            )
    text = yaml.safe_dump(job_set(config, training, name=name), sort_keys=False)
    path = addressed(training.folder_here, "k8s", ".yaml", text)
    command = ["kubectl", "create", f"--namespace={config.k8s.namespace}", f"--filename={path}"]
    return Submission(text, path, command, needs="install kubectl and choose a context")


def job_set(config: JobConfig, training: Training, *, name: str) -> dict:
    """The JobSet as values."""
    own = config.k8s
    labels = {"kueue.x-k8s.io/queue-name": own.queue} if own.queue else {}
    on_mistake = {"name": "mistake", "action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, "namespace": own.namespace, **({"labels": labels} if labels else {})},
        "spec": {
            **({"suspend": True} if own.queue else {}),  # until Kueue admits all pods together
            "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
            "failurePolicy": {"maxRestarts": config.max_restarts, "rules": [on_mistake]},
            "replicatedJobs": [
                {"name": "node", "replicas": 1, "template": {"spec": _job(config, training, name=name)}}
            ],
        },
    }


def _job(config: JobConfig, training: Training, *, name: str) -> dict:
    """One pod a node; a pod that fails fails the Job, and with it the JobSet starts all again."""
    is_final = {"containerName": "mai1", "operator": "In", "values": [FINAL_CODE]}
    return {
        "completionMode": "Indexed",
        "completions": config.nodes,
        "parallelism": config.nodes,
        "backoffLimit": 0,
        "activeDeadlineSeconds": config.time_limit_s,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": is_final}]},
        "template": {"spec": _pod(config, training, name=name)},
    }


def _pod(config: JobConfig, training: Training, *, name: str) -> dict:
    own = config.k8s
    memory = {"medium": "Memory", "sizeLimit": f"{own.shared_memory_gib}Gi"}
    network = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"} if own.uses_host_network else {}
    tolerations = [{"key": key, "operator": "Exists"} for key in own.tolerations]
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": config.stop_within_s,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **network,
        **({"nodeSelector": dict(own.node_selector)} if own.node_selector else {}),
        **({"affinity": _not_on(own.exclude)} if own.exclude else {}),
        **({"tolerations": tolerations} if tolerations else {}),
        "containers": [_container(config, training, name=name)],
        "volumes": [
            {"name": "work", "persistentVolumeClaim": {"claimName": own.claim}},
            {"name": "shared-memory", "emptyDir": memory},
        ],
    }


def _container(config: JobConfig, training: Training, *, name: str) -> dict:
    own = config.k8s
    command = node_command(config, training, python="python", job=f"k8s-{name}", head=f"{name}-node-0-0.{name}")
    variables = [{"name": key, "value": unexpanded(value)} for key, value in config.variables.items()]
    for key, place in own.secrets.items():
        secret, _, entry = place.partition("/")
        variables.append({"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": entry}}})
    amounts = {own.gpu_resource: str(config.devices_per_node)} if config.device is Device.gpu else {}
    amounts |= {"cpu": str(own.cpus)} if own.cpus else {}
    amounts |= {"memory": f"{own.memory_gib}Gi"} if own.memory_gib else {}
    amounts |= own.resources
    return {
        "name": "mai1",
        "image": own.image,
        "command": [unexpanded(word) for word in command],
        "workingDir": own.mount,
        "env": variables,
        "resources": {"requests": amounts, "limits": dict(amounts)},
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [{"name": "work", "mountPath": own.mount}, {"name": "shared-memory", "mountPath": "/dev/shm"}],
    }


def unexpanded(word: str) -> str:
    """A word that Kubernetes hands on as it is: `$(NAME)` would be replaced, and `$$` is its way to write a dollar sign."""
    return word.replace("$", "$$")


def _not_on(nodes: list[str]) -> dict:
    rule = {"key": HOSTNAME, "operator": "NotIn", "values": list(nodes)}
    required = {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
