"""What is submitted is what platforms accept: by schemas of ours everywhere, by their own packages where they are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mai1.launch.config import AzureMlConfig, JobConfig, KubernetesConfig, SkyPilotConfig, Target
from mai1.launch.kubernetes import job_set, kubernetes
from mai1.launch.platforms import azureml, skypilot
from mai1.launch.training import Training

TRAINING = Training(["pretrain", "run.name=first", "data.path=a b; $(touch x)"], Path("/outputs/first"))
NAME = {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 0}


def shape(required: dict, **optional: dict) -> dict:
    """An object with these fields and no others, as the API server has it with strict field validation."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def items(of: dict) -> dict:
    return {"type": "array", "items": of}


# Of kubernetes/api core/v1 and batch/v1 types.go (v1.35), the fields that are used, with their types and what they require.
AMOUNTS = {"type": "object", "additionalProperties": {"type": "string", "pattern": r"^[0-9]+(Gi)?$"}}
KEY_REF = shape({"name": TEXT, "key": TEXT})
CONTAINER = shape(
    {"name": NAME, "image": TEXT, "command": items(TEXT)},
    workingDir={"type": "string", "pattern": "^/"},
    env=items(shape({"name": TEXT}, value=TEXT, valueFrom=shape({"secretKeyRef": KEY_REF}))),
    resources=shape({}, requests=AMOUNTS, limits=AMOUNTS),
    securityContext=shape({"allowPrivilegeEscalation": {"const": False}}),
    volumeMounts=items(shape({"name": NAME, "mountPath": {"type": "string", "pattern": "^/"}})),
)
EXPRESSION = shape({"key": TEXT, "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}}, values=items(TEXT))
TERMS = shape({"nodeSelectorTerms": items(shape({"matchExpressions": items(EXPRESSION)}))})
VOLUME = shape(
    {"name": NAME},
    persistentVolumeClaim=shape({"claimName": TEXT}),
    emptyDir=shape({}, medium={"enum": ["", "Memory"]}, sizeLimit=TEXT),
)
POD = shape(
    {"containers": items(CONTAINER), "restartPolicy": {"const": "Never"}},  # podFailurePolicy takes no other
    terminationGracePeriodSeconds=COUNT,
    automountServiceAccountToken={"type": "boolean"},
    enableServiceLinks={"type": "boolean"},
    hostNetwork={"type": "boolean"},
    dnsPolicy={"enum": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
    nodeSelector={"type": "object", "additionalProperties": TEXT},
    affinity=shape({"nodeAffinity": shape({"requiredDuringSchedulingIgnoredDuringExecution": TERMS})}),
    tolerations=items(shape({}, key=TEXT, operator={"enum": ["Exists", "Equal"]})),
    volumes=items(VOLUME),
)
CODES = shape(
    {"operator": {"enum": ["In", "NotIn"]}, "values": items({"type": "integer", "minimum": 1})}, containerName=NAME
)
ON_CODES = shape({"action": {"enum": ["FailJob", "Ignore", "Count"]}, "onExitCodes": CODES})
JOB = shape(
    {"template": shape({"spec": POD})},
    completionMode={"enum": ["Indexed", "NonIndexed"]},
    completions=COUNT,
    parallelism=COUNT,
    backoffLimit=COUNT,
    activeDeadlineSeconds={"type": "integer", "minimum": 1},
    podFailurePolicy=shape({"rules": items(ON_CODES)}),
)
# Of kubernetes-sigs/jobset api/jobset/v1alpha2/jobset_types.go at 0336a8fd.
RULE = shape(
    {
        "name": {"type": "string", "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"},
        "action": {"enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts", "RestartJob"]},
    },
    onJobFailureReasons=items(
        {"enum": ["BackoffLimitExceeded", "DeadlineExceeded", "FailedIndexes", "PodFailurePolicy"]}
    ),
)
SPEC = shape(
    {"replicatedJobs": items(shape({"name": NAME, "template": shape({"spec": JOB})}, replicas=COUNT))},
    network=shape({}, enableDNSHostnames={"type": "boolean"}, publishNotReadyAddresses={"type": "boolean"}),
    failurePolicy=shape({}, maxRestarts=COUNT, rules=items(RULE)),
    suspend={"type": "boolean"},
)
JOB_SET = shape(
    {
        "apiVersion": {"const": "jobset.x-k8s.io/v1alpha2"},
        "kind": {"const": "JobSet"},
        "metadata": shape({"name": NAME}, namespace=NAME, labels={"type": "object", "additionalProperties": TEXT}),
        "spec": SPEC,
    }
)
FULL = {
    "queue": "q",
    "cpus": 9,
    "memory_gib": 8,
    "resources": {"rdma/ib": "8"},
    "node_selector": {"gpu": "h100"},
    "exclude": ["n7"],
    "tolerations": ["nvidia.com/gpu"],
    "secrets": {"WANDB_API_KEY": "wandb/key"},
    "uses_host_network": True,
}


def configured(**own) -> JobConfig:
    k8s = KubernetesConfig(image="registry.example/mai1:1", claim="work", **own)
    return JobConfig(target=Target.k8s, nodes=4, variables={"A": "$(B)"}, k8s=k8s)


@pytest.mark.parametrize("own", [{}, FULL], ids=["least", "full"])
def test_a_job_set_has_the_fields_of_its_schema_and_no_others(own: dict):
    text = kubernetes(configured(**own), TRAINING, name="first").text
    Draft202012Validator(JOB_SET).validate(yaml.safe_load(text))
    assert "*id" not in text, "an alias of YAML, which people stumble over"


def test_the_schema_notices_what_is_misspelt_or_missing():
    for path, key in ((["spec"], "replicatedJob"), (["spec", "failurePolicy"], "maxRestart"), (["metadata"], "nam")):
        content = job_set(configured(), TRAINING, name="first")
        inner = content
        for step in path:
            inner = inner[step]
        inner[key] = 1
        assert not Draft202012Validator(JOB_SET).is_valid(content), key


def test_every_pod_of_the_job_fits_a_name_and_meets_where_pod_0_is():
    content = job_set(configured(), TRAINING, name="a" * 40)
    [node] = content["spec"]["replicatedJobs"]
    assert len(f"{'a' * 40}-{node['name']}-0-99999-abcde") <= 63
    [container] = node["template"]["spec"]["template"]["spec"]["containers"]
    assert f"--head={'a' * 40}-{node['name']}-0-0.{'a' * 40}" in container["command"]
    assert node["template"]["spec"]["completions"] == node["template"]["spec"]["parallelism"] == 4


@pytest.mark.parametrize("version", ["1.31", "1.33", "1.35"])
@pytest.mark.parametrize("own", [{}, FULL], ids=["least", "full"])
def test_the_job_inside_is_one_of_kubernetes(own: dict, version: str):
    validator = pytest.importorskip("kubernetes_validate")
    [node] = job_set(configured(**own), TRAINING, name="first")["spec"]["replicatedJobs"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "first"}, **node["template"]}
    validator.validate(job, version, strict=True)


def test_skypilot_reads_its_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
    sky = pytest.importorskip("sky")
    own = SkyPilotConfig(uses_spot=True, infra="aws/us-east-1", mounts={"/outputs": "s3://bucket/mai1"})
    submission = skypilot(JobConfig(target=Target.skypilot, nodes=4, skypilot=own), TRAINING, name="first")
    (tmp_path / "task.yaml").write_text(submission.text)
    task = sky.Task.from_yaml(str(tmp_path / "task.yaml"))
    assert task.num_nodes == 4 and task.run.rstrip().endswith("'data.path=a b; $(touch x)'")
    [resources] = task.resources
    assert resources.accelerators == {"H100": 8} and resources.use_spot


def azure_submission() -> str:
    own = AzureMlConfig(compute="gpu", environment="azureml:mai1:1", workspace="w", resource_group="g")
    return azureml(JobConfig(target=Target.azureml, nodes=4, azureml=own), TRAINING, name="first").text


def test_azure_ml_reads_its_job(tmp_path: Path):
    ml = pytest.importorskip("azure.ai.ml")
    (tmp_path / "job.yaml").write_text(azure_submission())
    job = ml.load_job(str(tmp_path / "job.yaml"))
    assert job.resources.instance_count == 4 and job.distribution.process_count_per_instance == 1
    assert "'data.path=a b; $(touch x)' \"run.directory=${{outputs.runs}}\"" in job.command


def test_azure_mls_shell_hands_the_words_on(tmp_path: Path):
    command = yaml.safe_load(azure_submission())["command"].replace("${{outputs.runs}}", "/mnt/runs")
    shown = subprocess.check_output(
        ["bash", "-c", f"python() {{ printf '%s\\n' \"$@\"; }}; {command}"], text=True, cwd=tmp_path
    )
    assert shown.splitlines()[-2:] == ["data.path=a b; $(touch x)", "run.directory=/mnt/runs"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_reads_the_file(tmp_path: Path):
    path = tmp_path / "job.yaml"
    path.write_text(kubernetes(configured(**FULL), TRAINING, name="first").text)
    command = ["kubectl", "label", "--local", "--dry-run=client", "--output=yaml", f"--filename={path}", "a=b"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)
    assert read["metadata"]["labels"].pop("a") == "b"
    assert read == yaml.safe_load(path.read_text())
