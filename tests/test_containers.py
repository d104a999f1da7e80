"""What the Dockerfile and kuberay.yaml say; neither Docker nor Kubernetes is needed."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from grid.cli import app

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def record(required: str = "", **properties: Any) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
FLAG = {"type": "boolean"}
START = {"type": "object", "additionalProperties": TEXT}  # Kubernetes refuses numbers there
AMOUNTS = {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}

# Written for this manifest from KubeRay 1.7.0's types (ray.io/v1) and Kubernetes' PodSpec: the fields that it uses.
POD = record(
    "containers",
    securityContext=record(runAsNonRoot=FLAG, runAsUser=COUNT, runAsGroup=COUNT, fsGroup=COUNT),
    containers=array(
        record(
            "name image",
            name=TEXT,
            image=TEXT,
            resources=record(requests=AMOUNTS, limits=AMOUNTS),
            volumeMounts=array(record("name mountPath", name=TEXT, mountPath=TEXT)),
        )
    ),
    volumes=array(
        record(
            "name",
            name=TEXT,
            persistentVolumeClaim=record("claimName", claimName=TEXT),
            emptyDir=record(medium={"enum": ["", "Memory"]}, sizeLimit=TEXT),
        )
    ),
)
TEMPLATE = record("spec", spec=POD)
RAY_JOB = record(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=record("name", name=TEXT),
    spec=record(
        "entrypoint rayClusterSpec",
        entrypoint=TEXT,
        backoffLimit=COUNT,
        shutdownAfterJobFinishes=FLAG,
        ttlSecondsAfterFinished=COUNT,
        rayClusterSpec=record(
            "rayVersion headGroupSpec",
            rayVersion=TEXT,
            authOptions=record(mode={"enum": ["disabled", "token"]}),
            headGroupSpec=record("template", rayStartParams=START, template=TEMPLATE),
            workerGroupSpecs=array(
                record(
                    "groupName template",
                    groupName=TEXT,
                    replicas=COUNT,
                    minReplicas=COUNT,
                    maxReplicas=COUNT,
                    rayStartParams=START,
                    template=TEMPLATE,
                )
            ),
        ),
    ),
)


def manifest() -> tuple[dict[str, Any], dict[str, Any]]:
    claim, job = yaml.safe_load_all((ROOT / "kuberay.yaml").read_text())
    return claim, job


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    """What the pods of the head and of the workers are made of."""
    cluster = job["spec"]["rayClusterSpec"]
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_the_manifest_has_only_fields_that_kuberay_knows() -> None:
    _, job = manifest()
    jsonschema.validate(job, RAY_JOB)
    job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(jsonschema.ValidationError, match="volumeMount"):
        jsonschema.validate(job, RAY_JOB)


def test_the_manifest_is_valid_by_kuberays_own_schema() -> None:
    """Give its path as KUBERAY_CRD: helm-chart/kuberay-operator/crds/ray.io_rayjobs.yaml of ray-project/kuberay."""
    path = os.environ.get("KUBERAY_CRD")
    if path is None:
        pytest.skip("KUBERAY_CRD does not name KubeRay's definition of a RayJob, which has more than 1 MB")
    versions = yaml.load(Path(path).read_text(), Loader=yaml.CSafeLoader)["spec"]["versions"]
    (schema,) = (version["schema"]["openAPIV3Schema"] for version in versions if version["name"] == "v1")
    schema["properties"]["metadata"]["properties"] = {"name": TEXT}
    refuse_unknown_fields(schema)
    _, job = manifest()
    jsonschema.validate(job, schema)
    with pytest.raises(jsonschema.ValidationError, match="entrypoints"):
        jsonschema.validate(job | {"spec": job["spec"] | {"entrypoints": ""}}, schema)


def refuse_unknown_fields(schema: Any) -> None:
    """Makes a schema as strict as `kubectl apply`, which refuses what a definition does not name."""
    if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        refuse_unknown_fields(part)


def test_the_entrypoint_is_a_command_that_writes_to_the_volume() -> None:
    claim, job = manifest()
    program, command, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("cifar-grid", "run")
    _, options, _ = app.parse_args(["run", *arguments])
    head, *_ = pods(job)
    (volume,) = (volume for volume in head["volumes"] if "persistentVolumeClaim" in volume)
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    (mount,) = (mount for mount in head["containers"][0]["volumeMounts"] if mount["name"] == volume["name"])
    assert str(options.arguments["results"]) == mount["mountPath"]


def test_every_node_runs_the_same_image_unprivileged_with_shared_memory_for_rays_share() -> None:
    _, job = manifest()
    nodes = pods(job)
    assert len({node["containers"][0]["image"] for node in nodes}) == 1
    for node in nodes:
        assert node["securityContext"]["runAsNonRoot"] and node["securityContext"]["runAsUser"] > 0
        (memory,) = (volume for volume in node["volumes"] if volume.get("emptyDir", {}).get("medium") == "Memory")
        assert {"name": memory["name"], "mountPath": "/dev/shm"} in node["containers"][0]["volumeMounts"]
        share = 0.3 * gibibytes(node["containers"][0]["resources"]["limits"]["memory"])
        assert share <= gibibytes(memory["emptyDir"]["sizeLimit"]), "Ray takes 30 % for its object store"


def gibibytes(amount: str) -> float:
    assert amount.endswith("Gi")
    return float(amount[:-2])


def test_gpus_are_there_before_the_run_and_go_after_it() -> None:
    _, job = manifest()
    assert job["spec"]["shutdownAfterJobFinishes"]
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"], "a run counts the nodes that are there"
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] >= 1


def test_the_manifest_names_the_locked_ray_and_lets_nobody_else_in() -> None:
    cluster = manifest()[1]["spec"]["rayClusterSpec"]
    assert re.search(rf"^ray=={re.escape(cluster['rayVersion'])}\b", lock(), re.MULTILINE)
    assert cluster["authOptions"] == {"mode": "token"}


def lock() -> str:
    return (ROOT / "requirements.lock").read_text()


def names(text: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9-]*)==", text, re.MULTILINE))


def test_an_image_holds_locked_versions_by_their_checksums_and_runs_as_nobody_special() -> None:
    assert re.search(r"pip download .*--require-hashes -r wanted\.lock", DOCKERFILE)
    for line in re.findall(r"pip install .*", DOCKERFILE):
        assert "--no-index" in line, "it would fetch what no checksum covers"
    assert re.findall(r"^USER (.*)", DOCKERFILE, re.MULTILINE)[-1] == "1000"


def test_an_image_for_cpus_takes_from_the_lock_all_but_torch_and_what_is_cudas() -> None:
    (program,) = re.findall(r"awk '(.*)' requirements\.lock", DOCKERFILE)
    left = subprocess.run(["awk", program, ROOT / "requirements.lock"], capture_output=True, text=True, check=True)
    without = names(lock()) - names(left.stdout)
    assert {"torch", "torchvision"} < without
    assert all(name in ("torch", "torchvision", "triton") or re.match("nvidia-|cuda-", name) for name in without)
    (pattern,) = re.findall(r"grep -oE '(.*)' requirements\.lock", DOCKERFILE)
    from_elsewhere = re.findall(pattern, lock(), re.MULTILINE)
    assert sorted(from_elsewhere) == ["torch", "torchvision"]


def test_whatever_is_copied_into_an_image_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [name for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()]
    assert len(copied) >= 6
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
