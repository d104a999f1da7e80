"""What cluster.yaml and cluster-local.yaml say; test_cluster_ssh.py runs what they have in common."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parent.parent
FILES = ("cluster.yaml", "cluster-local.yaml")


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / name).read_text()))


@pytest.mark.parametrize("name", FILES)
def test_a_cluster_file_is_valid_by_rays_own_schema(name: str) -> None:
    schema = json.loads(files("ray").joinpath("autoscaler/ray-schema.json").read_text())
    config = read(name)
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate(config | {"unknown_key": 1}, schema)


def test_both_install_and_start_the_same_so_that_the_run_of_one_speaks_for_the_other() -> None:
    cloud, local = (read(name) for name in FILES)
    start = ("head_start_ray_commands", "worker_start_ray_commands")
    for key in ("file_mounts", "rsync_filter", "setup_commands", *start):
        assert cloud[key] == local[key]
    assert "RAY_enable_autoscaler_v2=0 ray start" in cloud["head_start_ray_commands"][-1], "the autoscaler that was run"


@pytest.mark.parametrize("name", FILES)
def test_every_node_gets_the_locked_files_by_their_checksum_and_nothing_else(name: str) -> None:
    config = read(name)
    commands = [command for key, value in config.items() if key.endswith("setup_commands") for command in value]
    installs = [part for command in commands for part in command.split("&&") if "install" in part]
    locked, project = installs
    assert "--require-hashes --only-binary :all: -r ~/cifar-grid/requirements.lock" in locked
    assert "--no-deps --no-build-isolation --editable ~/cifar-grid" in project
    assert not [command for command in commands if "curl" in command or "wget" in command or "http" in command]


def test_trials_that_share_a_gpu_of_the_cloud_fit_its_cpus_as_the_command_is_printed() -> None:
    (command,) = re.findall(r"^# +(ray submit .*)$", (ROOT / "cluster.yaml").read_text(), re.MULTILINE)
    cpus, gpus = (float(re.findall(rf"--{what}-per-trial ([0-9.]+)", command)[0]) for what in ("cpus", "gpus"))
    resources = read("cluster.yaml")["available_node_types"]["gpu"]["resources"]
    assert resources["CPU"] / cpus == resources["GPU"] / gpus == 4
    assert "four trials of the report's network share it" in (ROOT / "cluster.yaml").read_text()


def test_in_the_cloud_only_what_can_be_lost_is_on_spot_machines_and_goes_when_idle() -> None:
    config = read("cluster.yaml")
    types = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    assert head["resources"] == {"CPU": 0}, "a head that trains may run out of memory under the ledger's only writer"
    assert "InstanceMarketOptions" not in head["node_config"]
    assert config["provider"]["cache_stopped_nodes"], "ray down would delete the results with the head"
    assert sum(worker["max_workers"] for worker in types.values()) == config["max_workers"]
    for worker in types.values():
        assert worker["min_workers"] == 0
        assert worker["resources"]["GPU"] >= 1
        assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
        assert worker["node_config"]["ImageId"] == head["node_config"]["ImageId"]
