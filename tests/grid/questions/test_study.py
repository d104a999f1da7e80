from pathlib import Path

import pytest

from cifar_models.config import ResidualCNNConfig
from grid.errors import QuestionError, UserError
from grid.questions.expansion import make_study
from grid.questions.fields import field_value
from grid.questions.question import find_question, read_profiles
from tests.grid.questions.test_question import HEAD, study, write


def test_a_product_is_every_combination_in_order(tmp_path: Path) -> None:
    made = study(
        write(tmp_path, HEAD + "cells:\n  - product: {optimizer.name: [adam, sgd], optimizer.lr: [0.1, 1.0e-3]}\n")
    )
    assert [arm.values for arm in made.arms] == [
        {"optimizer.name": "adam", "optimizer.lr": 0.1},
        {"optimizer.name": "adam", "optimizer.lr": 0.001},
        {"optimizer.name": "sgd", "optimizer.lr": 0.1},
        {"optimizer.name": "sgd", "optimizer.lr": 0.001},
    ]
    assert [arm.label for arm in made.arms][:2] == ["adam, lr 0.1", "adam, lr 0.001"]
    assert made.axes[1].values == (0.001, 0.1)


def test_blocks_give_each_optimizer_its_own_rates(tmp_path: Path) -> None:
    text = """cells:
  - set: {optimizer.name: adam}
    product: {optimizer.lr: [0.001]}
  - set: {optimizer.name: sgd}
    product: {optimizer.lr: [0.01, 0.1]}
"""
    made = study(write(tmp_path, HEAD + text))
    assert [(a.config.optimizer.name, a.config.optimizer.lr) for a in made.arms] == [
        ("adam", 0.001), ("sgd", 0.01), ("sgd", 0.1),
    ]  # fmt: skip


def test_one_axis_at_a_time_holds_the_base_once(tmp_path: Path) -> None:
    text = """base: {model.layers_per_block: 4, model.hidden_layer_size: 120}
cells:
  - one_at_a_time:
      model.layers_per_block: [2, 4, 8]
      model.hidden_layer_size: [70, 120]
"""
    made = study(write(tmp_path, HEAD + text))
    models = [a.config.model for a in made.arms]
    assert [(m.layers_per_block, m.hidden_layer_size) for m in models if isinstance(m, ResidualCNNConfig)] == [
        (4, 120), (2, 120), (8, 120), (4, 70),
    ]  # fmt: skip
    assert len({arm.label for arm in made.arms}) == 4


def test_text_that_yaml_does_not_take_for_a_number_is_one_and_the_same_arm(tmp_path: Path) -> None:
    # YAML 1.1 reads 1e-3 as text
    made = study(write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [1e-3, 0.001, 0.01]}\n"))
    assert [arm.values["optimizer.lr"] for arm in made.arms] == [0.001, 0.01]


def test_later_layers_win_and_cells_win_over_all(tmp_path: Path) -> None:
    text = """base: {epochs: 50, batch_size: 64, model.dropout: 0.3}
profiles: {quick: {set: {batch_size: 16}, seeds: 7}}
cells:
  - product: {optimizer.lr: [0.1, 0.2]}
"""
    made = study(write(tmp_path, HEAD + text), overrides={"model.dropout": 0.0})
    config = made.arms[0].config
    assert isinstance(config.model, ResidualCNNConfig)
    assert (config.epochs, config.batch_size, config.model.dropout) == (3, 16, 0.0)
    assert made.seeds == tuple(range(7))
    assert study(write(tmp_path, HEAD + text), num_seeds=2).seeds == (0, 1)


def test_an_axis_cannot_be_set_for_the_whole_run(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "cells:\n  - product: {optimizer.lr: [0.1]}\n")
    with pytest.raises(UserError, match=r"mine varies optimizer\.lr itself"):
        study(path, overrides={"optimizer.lr": 0.5})


def test_a_wrong_setting_is_explained_without_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "cells: [{}]\n")
    with pytest.raises(UserError, match=r"^mine: epochs: 0 is not allowed: input should be greater than or equal to 1"):
        study(path, overrides={"epochs": 0})


def test_precision_of_the_machine_yields_to_that_of_the_question(tmp_path: Path) -> None:
    assert study(write(tmp_path, HEAD + "cells: [{}]\n"), precision="fp32").arms[0].config.precision == "fp32"
    text = HEAD + "cells:\n  - product: {precision: [bf16, fp32]}\n"
    assert [a.config.precision for a in study(write(tmp_path, text)).arms] == ["bf16", "fp32"]


def test_q2_is_the_reports_grid_at_the_reports_budget() -> None:
    paper = read_profiles()["paper"]
    made = make_study(find_question("q2"), "paper", paper, dataset="cifar10", dataset_label="cifar10", precision="bf16")
    assert len(made.arms) == 20
    config = made.arms[0].config
    assert isinstance(config.model, ResidualCNNConfig)
    assert (config.batch_size, config.epochs, config.data.train_size, config.model.filters) == (256, 100, None, (64,))
    assert made.name == "q2-optimizers-paper-cifar10"


def test_a_profile_may_speak_of_one_architecture(tmp_path: Path) -> None:
    text = """profiles: {quick: {by_architecture: {resnet50: {epochs: 1}, residual_cnn: {model.filters: [4]}}}}
cells:
  - {}
  - set: {model.architecture: resnet50}
"""
    ours, published = (arm.config for arm in study(write(tmp_path, HEAD + text)).arms)
    assert (ours.epochs, field_value(ours, "model.filters")) == (3, [4])
    assert (published.epochs, field_value(published, "model.filters")) == (1, None)


def test_a_blocks_label_stands_for_what_its_arms_have_in_common(tmp_path: Path) -> None:
    text = """cells:
  - label: nothing
    set: {optimizer.l1: 0, optimizer.weight_decay: 0}
  - label: L1
    set: {optimizer.weight_decay: 0}
    product: {optimizer.l1: [0.1, 0.2]}
"""
    made = study(write(tmp_path, HEAD + text))
    assert [arm.label for arm in made.arms] == ["nothing", "L1, l1 0.1", "L1, l1 0.2"]
    assert [axis.field for axis in made.axes] == ["optimizer.l1"], "what is the same in all arms is no axis"


def test_what_other_questions_found_is_put_together_and_later_ones_win(tmp_path: Path) -> None:
    text = """cells:
  - label: base
  - label: winners
    winners_of: [one, two]
"""
    path = write(tmp_path, HEAD + text)
    winners = {"one": {"optimizer.lr": 0.1, "model.dropout": 0.3}, "two": {"optimizer.lr": 0.2}}
    made = study(path, winners=winners)
    config = made.arms[1].config
    assert (config.optimizer.lr, field_value(config, "model.dropout")) == (0.2, 0.3)
    with pytest.raises(QuestionError, match=r"mine\.yaml:6: builds on what two finds.*run two first"):
        study(path, winners={"one": {}})


def test_what_two_cells_have_in_common_bears_both_labels(tmp_path: Path) -> None:
    text = """cells:
  - label: the report's
    set: {optimizer.lr: 0.005}
  - label: ours
    winners_of: [one]
  - label: another
    set: {optimizer.lr: 0.1}
"""
    made = study(write(tmp_path, HEAD + text), winners={"one": {"optimizer.lr": 0.005}})
    assert [arm.label for arm in made.arms] == ["the report's = ours", "another"]


def test_a_field_that_follows_from_another_is_no_axis_but_is_kept_with_the_arm(tmp_path: Path) -> None:
    text = """cells:
  - set: {model.layers_per_block: 4, model.pool_every: 2}
  - set: {model.layers_per_block: 8, model.pool_every: 4}
"""
    made = study(write(tmp_path, HEAD + text))
    assert [axis.field for axis in made.axes] == ["model.layers_per_block"]
    assert [arm.values["model.pool_every"] for arm in made.arms] == [2, 4]


def test_all_images_is_a_value_with_a_name(tmp_path: Path) -> None:
    made = study(write(tmp_path, HEAD + "cells:\n  - product: {data.train_size: [100, null]}\n"))
    assert [arm.label for arm in made.arms] == ["train size 100", "train size null"]
