"""Columns and types of the Parquet tables of what was trained, and of what was found: a public interface.

    trials.parquet       a row for each planned cell of each study, whatever became of it
    epochs.parquet       a row for each epoch of each trial
    predictions/         a row for each test image of each trial that is ok
    verdicts.parquet     a row for each claim of each study
    comparisons.parquet  a row for each pair of arms of each study that was compared

`fingerprint` joins the first three. Columns and types are the same whether trials fail or not; what does not exist is
null.
"""

import pyarrow as pa

TABLES_VERSION = "3"
"""Raised when a column changes its name, type or meaning; stands in each file's metadata as `cifar_grid_tables`."""

CONFIG_COLUMNS: dict[str, pa.DataType] = {
    "data.train_size": pa.int64(),
    "model.architecture": pa.string(),
    "model.layers_per_block": pa.int64(),
    "model.pool_every": pa.int64(),
    "model.hidden_layer_count": pa.int64(),
    "model.hidden_layer_size": pa.int64(),
    "model.skip": pa.bool_(),
    "model.batch_norm": pa.bool_(),
    "model.dropout": pa.float64(),
    "optimizer.name": pa.string(),
    "optimizer.lr": pa.float64(),
    "optimizer.weight_decay": pa.float64(),
    "optimizer.l1": pa.float64(),
    "optimizer.schedule": pa.string(),
    "batch_size": pa.int64(),
    "epochs": pa.int64(),
    "precision": pa.string(),
}
"""Fields of the configuration that have a column of their own (with `_` for `.`); `config` holds all of them."""

TRIALS = pa.schema(
    [
        ("study", pa.string()),
        ("question", pa.string()),
        ("profile", pa.string()),
        ("dataset", pa.string()),
        ("arm", pa.int64()),
        ("arm_label", pa.string()),
        ("seed", pa.int64()),
        ("stage", pa.string()),
        ("fingerprint", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("epochs_run", pa.int64()),
        ("train_loss", pa.float64()),
        ("train_acc", pa.float64()),
        ("val_loss", pa.float64()),
        ("val_acc", pa.float64()),
        ("test_loss", pa.float64()),
        ("test_acc", pa.float64()),
        ("fit", pa.string()),
        ("num_parameters", pa.int64()),
        ("num_train", pa.int64()),
        ("started", pa.timestamp("us", tz="UTC")),
        ("wall_s", pa.float64()),
        ("train_images_per_s", pa.float64()),
        ("machine", pa.string()),
        ("data_fingerprint", pa.string()),
        ("training_version", pa.int64()),
        ("config", pa.string()),
        *((field.replace(".", "_"), kind) for field, kind in CONFIG_COLUMNS.items()),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)
EPOCHS = pa.schema(
    [
        ("fingerprint", pa.string()),
        ("epoch", pa.int64()),
        ("lr", pa.float64()),
        ("train_loss", pa.float64()),
        ("train_acc", pa.float64()),
        ("val_loss", pa.float64()),
        ("val_acc", pa.float64()),
        ("wall_s", pa.float64()),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)
PREDICTIONS = pa.schema(
    [
        ("fingerprint", pa.string()),
        ("image", pa.int64()),
        ("label", pa.uint8()),
        ("predicted", pa.uint8()),
        ("true_prob", pa.float32()),
        ("predicted_prob", pa.float32()),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)
VERDICTS = pa.schema(
    [
        ("study", pa.string()),
        ("question", pa.string()),
        ("profile", pa.string()),
        ("dataset", pa.string()),
        ("claim", pa.string()),
        ("says", pa.string()),
        ("source", pa.string()),
        ("verdict", pa.string()),
        ("finding", pa.string()),
        ("kind", pa.string()),
        ("estimate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("num_seeds", pa.int64()),
        ("p_value", pa.float64()),
        ("seeds_needed_low", pa.int64()),
        ("seeds_needed", pa.int64()),
        ("num_looks", pa.int64()),
        ("claims_sha256", pa.string()),
        ("trials", pa.list_(pa.string())),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)

COMPARISONS = pa.schema(
    [
        ("study", pa.string()),
        ("question", pa.string()),
        ("profile", pa.string()),
        ("dataset", pa.string()),
        ("first_arm", pa.int64()),
        ("first_label", pa.string()),
        ("second_arm", pa.int64()),
        ("second_label", pa.string()),
        ("difference", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("p_value", pa.float64()),
        ("p_corrected", pa.float64()),
        ("p_equal", pa.float64()),
        ("finding", pa.string()),
        ("df", pa.float64()),
        ("d0", pa.float64()),
        ("num_seeds", pa.int64()),
        ("method", pa.string()),
        ("num_looks", pa.int64()),
        ("first_may_be_best", pa.bool_()),
        ("second_may_be_best", pa.bool_()),
    ],
    metadata={"cifar_grid_tables": TABLES_VERSION},
)
