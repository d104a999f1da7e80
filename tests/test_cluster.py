import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parent.parent


def test_cluster_yaml_is_valid_by_rays_own_schema() -> None:
    schema = json.loads(files("ray").joinpath("autoscaler/ray-schema.json").read_text())
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
        jsonschema.validate(config | {"unknown_key": 1}, schema)


def test_cluster_yaml_installs_the_project_from_the_lock_file_on_every_node() -> None:
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    commands = "\n".join(config["setup_commands"])
    assert "cifar-grid/requirements.lock" in commands
    assert config["file_mounts"] == {"~/cifar-grid": "."}
    assert config["head_node_type"] in config["available_node_types"]
