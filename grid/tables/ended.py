"""What the report needs of each trial that ended, a row each, kept so that no trial is read twice.

    .report/trials    the rows, signed (`grid.records.signed`), with the files of `predictions/` that hold their trials

A row is good as long as the trial's files have its stamp. It holds the curves as a list and the right answers as bits,
4 KB in all, where the trial itself has 75.
"""

import contextlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grid.questions.measures import CURVES
from grid.records.damage import DamageError
from grid.records.files import Folder
from grid.records.ledger import Ledger, TrialRecord
from grid.records.predictions import Arrays
from grid.records.signed import read_signed, write_signed
from grid.tables.fit import diagnose
from grid.tables.predictions import PredictionFiles, write_part
from grid.tables.processes import Processes
from grid.tables.schemas import EPOCHS, TRIALS
from grid.tables.tallies import NUM_BINS, Tally, tally

OF_TRIAL = (
    "fingerprint", "status", "reason", "epochs_run", *CURVES, "test_loss", "test_acc", "fit", "num_parameters",
    "num_train", "started", "wall_s", "train_images_per_s", "machine", "training_version",
)  # fmt: skip
"""Columns of `trials.parquet` that a trial has by itself, whatever study it is of."""

EPOCH_FIELDS = [field for field in EPOCHS if field.name != "fingerprint"]
ENDED = pa.schema(
    [
        *(TRIALS.field(name) for name in OF_TRIAL),
        ("curves", pa.list_(pa.struct(EPOCH_FIELDS))),
        ("right", pa.binary()),
        ("num_images", pa.int64()),
        ("confusion", pa.binary()),
        ("bins", pa.binary()),
        ("digest", pa.string()),
        ("stamp", pa.string()),
        ("part", pa.string()),
    ]
)
"""`right` has a bit a test image, `confusion` and `bins` are those of `Tally`, `digest` is that of the record.

`part` is the file with the trial's predictions.
"""

KEPT = ".report/trials"
BATCH = 250
"""Trials that are in memory at once, and a file of predictions."""
WORTH_PROCESSES = 4
"""Batches from which processes are started: they take a second to come."""


class Ended(NamedTuple):
    """What was found of some trials.

    Attributes:
        rows: Rows of `ENDED` of those that are in the ledger, in the order asked for.
        damaged: Those of which something can't be read.
    """

    rows: pa.Table
    damaged: tuple[str, ...]


class Batch(NamedTuple):
    """Trials that are read together: their stamps, the ledger, and the results folder; None to write nothing."""

    stamps: dict[str, str]
    ledger: Ledger
    files: Folder | None


def read_ended(
    fingerprints: Iterable[str], ledger: Ledger, files: Folder | None = None, processes: Processes | None = None
) -> Ended:
    """Reads trials; of those that were read before, and are as they were, what was kept.

    Args:
        fingerprints: The trials.
        ledger: Where they are.
        files: The results folder, where predictions are written and rows are kept; None to write nothing.
        processes: Who reads them.
    """
    wanted = list(dict.fromkeys(fingerprints))
    stamps = {fingerprint: _stamp(ledger, fingerprint) for fingerprint in wanted}
    parts = PredictionFiles(files) if files else None
    known = _read_kept(files, stamps, parts) if files and parts else ENDED.empty_table()
    already = set(known["fingerprint"].to_pylist())
    new = {key: stamp for key in wanted if key not in already and (stamp := stamps[key]) is not None}
    starts = range(0, len(new), BATCH)
    batches = [Batch(dict(islice(new.items(), start, start + BATCH)), ledger, files) for start in starts]
    read = list((processes or Processes()).map(read_batch, batches, WORTH_PROCESSES))
    damaged = tuple(key for of in read for key in of.damaged)
    places = {fingerprint: place for place, fingerprint in enumerate(wanted)}
    rows = pa.concat_tables([known, *(of.rows for of in read)])
    order = np.argsort([places[fingerprint] for fingerprint in rows["fingerprint"].to_pylist()])
    rows = rows.take(order).combine_chunks()
    if files and parts:
        for part in {part for of in read for part in of.rows["part"].unique().to_pylist() if part}:
            parts.add(part)
        parts.remove_others()
        if batches or parts.changed:
            _keep(rows, files, parts)
        ledger.note_whole({key: stamp for key, stamp in new.items() if key not in damaged})
    return Ended(rows, damaged)


def read_batch(batch: Batch) -> Ended:
    """Reads trials from the ledger and writes a file of their predictions; those that have no record are left out."""
    read, damaged = [], []
    for fingerprint in batch.stamps:
        try:
            read.append(batch.ledger.read_whole(fingerprint))
        except DamageError:
            damaged.append(fingerprint)
    answers = {record.fingerprint: arrays for record, _, arrays in read if arrays}
    part = write_part(batch.files, answers) if batch.files and answers else None
    rows = [
        ended_row(record, arrays)
        | {"digest": digest, "stamp": batch.stamps[record.fingerprint], "part": part if arrays else None}
        for record, digest, arrays in read
    ]
    return Ended(pa.Table.from_pylist(rows, schema=ENDED), tuple(damaged))


def refuse_damaged(damaged: Iterable[str], ledger: Ledger) -> None:
    """Ends what needs trials that ended, and of which the predictions can't be read.

    Raises:
        UserError: There is one.
    """
    for fingerprint in ledger.read(damaged):
        ledger.predictions(fingerprint)


def ended_row(record: TrialRecord, arrays: Arrays | None = None) -> dict[str, Any]:
    """What a record, and the predictions beside it, say of a trial."""
    last = record.epochs[-1] if record.epochs else None
    train_s = sum(epoch.wall_s for epoch in record.epochs)
    copies = 2 if record.config.augmentation.mode == "added" else 1
    num_images = copies * (record.num_train or 0) * len(record.epochs)
    epochs = [vars(epoch) for epoch in record.epochs]  # as they are: a copy of each takes longer than all the rest
    columns = {name: [epoch[name] for epoch in epochs] for name in ("epoch", *CURVES)}
    same = ("fingerprint", "status", "reason", "test_loss", "test_acc", "num_parameters", "num_train", "wall_s")
    return {name: getattr(record, name) for name in (*same, "machine", "training_version")} | {
        "epochs_run": len(record.epochs),
        **({name: getattr(last, name) for name in CURVES} if last else {}),
        "fit": diagnose(columns) if record.status == "ok" else None,
        "started": np.datetime64(record.started.removesuffix("+00:00"), "us").astype(object),
        "train_images_per_s": num_images / train_s if train_s else None,
        "curves": epochs,
        **(_answers(arrays) if arrays else {}),
    }


def _answers(arrays: Arrays) -> dict[str, Any]:
    """What is kept of the answers to the test images."""
    label, predicted = arrays["label"], arrays["predicted"]
    counted = tally(label, predicted, arrays.get("predicted_prob"))
    return {
        "right": np.packbits(label == predicted).tobytes(),
        "num_images": len(label),
        "confusion": zlib.compress(counted.confusion.tobytes(), 1),  # of 100 classes, most cells are 0
        "bins": None if counted.bins is None else counted.bins.tobytes(),
    }


def tallies(ended: pa.Table) -> dict[str, Tally]:
    """What is counted of the answers of each trial that is ok, by fingerprint."""
    ok = ended.select(["fingerprint", "confusion", "bins"]).filter(pc.is_valid(ended["confusion"]))
    known = {}
    for row in ok.to_pylist():
        cells = np.frombuffer(zlib.decompress(row["confusion"]), np.int64)
        bins = None if row["bins"] is None else np.frombuffer(row["bins"]).reshape(NUM_BINS, -1)
        known[row["fingerprint"]] = Tally(cells.reshape(math.isqrt(len(cells)), -1), bins)
    return known


def right_answers(ended: pa.Table) -> dict[str, npt.NDArray[np.bool_]]:
    """Which test images each trial that is ok is right about, `(N,) bool`, by fingerprint."""
    ok = ended.select(["fingerprint", "right", "num_images"]).filter(pc.is_valid(ended["right"]))
    return {
        fingerprint: np.unpackbits(np.frombuffer(bits.as_buffer(), np.uint8), count=num_images).view(np.bool_)
        for fingerprint, bits, num_images in zip(
            ok["fingerprint"].to_pylist(), ok["right"], ok["num_images"].to_pylist(), strict=True
        )
    }


def epochs_of(ended: pa.Table) -> pa.Table:
    """The table of epochs."""
    epochs = ended["curves"].combine_chunks()
    keys = ended["fingerprint"].combine_chunks().take(pc.list_parent_indices(epochs))
    return pa.Table.from_arrays([keys, *pc.list_flatten(epochs).flatten()], schema=EPOCHS)


def rows_of(ended: pa.Table) -> Mapping[str, dict[str, Any]]:
    """What stands in `trials.parquet` of each trial, by fingerprint."""
    return {str(row["fingerprint"]): row for row in ended.select(list(OF_TRIAL)).to_pylist()}


def _stamp(ledger: Ledger, fingerprint: str) -> str | None:
    with contextlib.suppress(OSError):
        return ledger.stamp(fingerprint)
    return None


def _read_kept(files: Folder, stamps: Mapping[str, str | None], parts: PredictionFiles) -> pa.Table:
    """The rows that are still good: of trials with the same stamp, whose predictions are where they were written."""
    if (content := read_signed(files, KEPT)) is None:
        return ENDED.empty_table()
    try:
        table = pq.read_table(pa.BufferReader(content))
        kept_parts = json.loads(table.schema.metadata[b"parts"])
        table = table.cast(ENDED)
    except (ValueError, LookupError, TypeError, pa.ArrowException):  # of another version of this program
        return ENDED.empty_table()
    same = [
        stamp is not None and stamps.get(fingerprint) == stamp
        for fingerprint, stamp in zip(table["fingerprint"].to_pylist(), table["stamp"].to_pylist(), strict=True)
    ]
    good = table.filter(pa.array(same, pa.bool_()))
    parts.keep(kept_parts, table["part"].to_pylist(), good["part"].to_pylist())
    return good.filter(pa.array([part is None or part in parts.kept for part in good["part"].to_pylist()], pa.bool_()))


def _keep(ended: pa.Table, files: Folder, parts: PredictionFiles) -> None:
    content = pa.BufferOutputStream()
    kept = ended.replace_schema_metadata({"parts": json.dumps(parts.stamps())})
    pq.write_table(kept, content, compression="none", use_dictionary=False)
    write_signed(files, KEPT, content.getvalue().to_pybytes())
