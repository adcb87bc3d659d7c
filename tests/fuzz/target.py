"""What is done with a mutant, and what may come of it."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from medcyclegan.core.volume import Volume
from medcyclegan.errors import ExitCode, MedcycleganError
from medcyclegan.io.dicom.derive import Derivation, seeded_uid_maker
from medcyclegan.io.read import read_scan
from medcyclegan.io.write import write_scan
from tests.dicom_factory import PATIENT_ID, PATIENT_NAME
from tests.fuzz.seeds import Seed, write_files

# What a refusal may end in. The memory of a worker is bounded, so a mutant that asks for more than
# it may have shows as DEVICE_OR_MEMORY, and that is no good end.
GOOD_ENDS = (ExitCode.INPUT_REFUSED, ExitCode.CANNOT_WRITE)
READ, REFUSED = "read", "refused"

Target = Callable[[Path, Path], None]
OUTPUTS = ("ct.nii", "ct.nrrd", "ct")


def read_and_write(opened: Path, out: Path) -> None:
    """Read an input as an MR, and write a CT on its grid to ``out``, as its name says.

    The way of a scan without the network: what the reader took must suit the writers, or be refused
    by them as ours.
    """
    scan = read_scan(opened, modality="MR")
    zeros = np.zeros(scan.volume.geometry.shape, dtype=np.float32)
    derivation = Derivation(
        model_name="none",
        model_sha256="0" * 64,
        software_version="0",
        method="none",
        now=datetime(2024, 2, 29, tzinfo=UTC),
        new_uid=seeded_uid_maker("fuzz"),
    )
    ct = Volume(zeros, scan.volume.geometry, "HU")
    write_scan(ct, source_header=scan.source_header, to=out, derivation=derivation)


# Attributes that are left out are logged: that is no fault, and no part of the message.
logging.getLogger("medcyclegan").addHandler(logging.NullHandler())


def try_one(mutant: Seed, folder: Path, name: str, target: Target = read_and_write) -> str:
    """Run a mutant in an empty folder; returns ``read``, ``refused``, or what was found wrong.

    ``name`` is that of the output.
    """
    source, out = folder / "in", folder / "out"
    for part in (source, out):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
    write_files(mutant.files, source)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            target(source / mutant.opened, out / name)
    except MedcycleganError as error:
        found = _wrong_in(error)
    except Exception:  # every other exception is what is sought
        found = traceback.format_exc()
    else:
        found = READ
    left = [path.name for path in (*source.iterdir(), *out.iterdir())]
    if any(name.startswith(".") and name not in mutant.files for name in left):
        return f"left behind: {left}"
    return f"printed: {said.getvalue()}" if said.getvalue() else found


def _wrong_in(error: MedcycleganError) -> str:
    text = str(error)
    secrets = [secret for secret in (PATIENT_NAME, PATIENT_ID, "Yamada") if secret in text]
    if secrets:
        return f"told {secrets}: {text}"
    if error.exit_code not in GOOD_ENDS:
        return "".join(traceback.format_exception(error))
    return REFUSED
