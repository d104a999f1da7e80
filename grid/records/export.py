"""A trained network to take away: its weights, what was trained, and a script that shows how to use it."""

import re
from pathlib import Path

from safetensors import SafetensorError, deserialize

from grid.errors import UserError
from grid.records.files import Folder
from grid.records.ledger import WEIGHTS, Ledger

LOAD = '''\
"""Says what this network sees: python load.py [IMAGE ...]. Without an image it looks at noise. Needs cifar-grid."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cifar_models.checkpoint import unpack
from cifar_models.config import IMAGE_SIZE, TrainConfig
from cifar_models.models import build_model

HERE = Path(__file__).parent
config = TrainConfig.model_validate_json((HERE / "config.json").read_bytes())
weights, about = unpack((HERE / "weights.safetensors").read_bytes())  # verifies their checksum
classes = json.loads(about["classes"])
mean_C11, std_C11 = (torch.tensor(json.loads(about[name]))[:, None, None] for name in ("mean", "std"))

model = build_model(config.model, len(classes), load_weights=False)
model.load_state_dict(weights)  # every weight, and no other
model.eval()

noise = Image.fromarray(np.random.randint(0, 256, (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8))
for name, image in {path: Image.open(path) for path in sys.argv[1:]}.items() or [("noise", noise)]:
    pixels_HWC = np.array(image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE)), dtype=np.float32)
    image_CHW = (torch.from_numpy(pixels_HWC).permute(2, 0, 1) - mean_C11) / std_C11
    with torch.inference_mode():
        probability_K = model(image_CHW[None])[0].softmax(0)
    best = int(probability_K.argmax())
    print(f"{name}: {classes[best]} ({100 * float(probability_K[best]):.1f} %)")
'''
"""The script; all that differs between networks stands in the files beside it."""


def export_trial(ledger: Ledger, fingerprint_prefix: str, to: Path) -> Path:
    """Writes `weights.safetensors`, `config.json` and `load.py` of a trial, in place of earlier ones.

    Args:
        ledger: Where the trial is.
        fingerprint_prefix: Its fingerprint, or as many of the first digits as no other trial has.
        to: The folder that gets a folder of the trial's fingerprint.

    Returns:
        That folder.

    Raises:
        UserError: There is no such trial, there are several, its weights were not kept, or `to` can't be written.
    """
    fingerprint = _find(ledger, fingerprint_prefix)
    record = ledger.read([fingerprint]).get(fingerprint)
    if record is None:
        raise UserError(f"trial {fingerprint}: can't be read; run its question again, which trains it anew")
    if not ledger.has_weights(fingerprint):
        raise UserError(f"trial {fingerprint}: its weights were not kept; run its question with --keep-weights all")
    try:
        weights = ledger.weights(fingerprint)
        deserialize(weights)  # type: ignore[no-untyped-call]  # sees whether all are there
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{ledger.folder(fingerprint) / WEIGHTS}: damaged ({error}); remove it and run its question with "
            "--keep-weights all"
        ) from error
    folder = Folder(to).below(fingerprint)
    try:
        folder.write("weights.safetensors", weights)
        folder.write("config.json", record.config.model_dump_json(indent=1).encode())
        folder.write("load.py", LOAD.encode())
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; export to another folder") from error
    return folder.path


def _find(ledger: Ledger, prefix: str) -> str:
    """Returns the only trial whose fingerprint begins with these digits."""
    if not re.fullmatch("[0-9a-f]{1,24}", prefix):
        raise UserError(f"fingerprint {prefix!r}: must be up to 24 hexadecimal digits, as trials.parquet has them")
    found = [fingerprint for fingerprint in ledger.fingerprints() if fingerprint.startswith(prefix)]
    if not found:
        raise UserError(f"fingerprint {prefix}: no trial in {ledger.files.path} begins so; trials.parquet has them all")
    if len(found) > 1:
        named = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        raise UserError(f"fingerprint {prefix}: {len(found)} trials begin so ({named}); give more digits")
    return found[0]
