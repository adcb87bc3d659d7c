"""Decoder of compressed pixel data, in a process of its own.

GDCM ends the whole process for some damaged JPEG files ("terminate called after throwing an
instance of gdcm::Exception"), writes to stderr behind Python's back, and takes what memory and time
a codestream asks for. Here that costs one series, not the batch.

The child is started as ``python -m medcyclegan.io.dicom.decoder_process``. It reads a JSON list
from stdin, of paths and bits of a sample, and writes for each path, in that order, its frames as
unsigned words: a line with dtype and number of bytes, then these bytes. After an error it writes
nothing more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from medcyclegan.io.dicom.header import DicomFile, load_header
from medcyclegan.io.dicom.pixel_layout import GDCM_SYNTAXES, PixelLayout, Stored, pixel_dataset

# A frame of 1024 x 1024 takes 0.1 s; this is for a loaded machine and the largest frames.
FRAME_TIME_LIMIT_S = 120.0
# Address space of the child: the largest series as 16 bit, twice, and the libraries.
MEMORY_LIMIT_BYTES = 8 * 2**30


def decode_apart(layouts: Mapping[DicomFile, PixelLayout]) -> Iterator[tuple[DicomFile, Stored]]:
    """Yield (file, frame of (rows, columns)) for all frames of all files, in their order.

    Raises
    ------
    EOFError
        If the child gave up; the frame that would have come next is at fault.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "medcyclegan.io.dicom.decoder_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            with suppress(BrokenPipeError), child.stdin as request:
                asked = [(str(file.path), layout.precision) for file, layout in layouts.items()]
                request.write(json.dumps(asked).encode())
            for file, layout in layouts.items():
                for _ in range(layout.frames):
                    yield file, _receive(child, child.stdout, layout)
        finally:
            child.kill()


def _receive(child: subprocess.Popen[bytes], answer: IO[bytes], layout: PixelLayout) -> Stored:
    watchdog = threading.Timer(FRAME_TIME_LIMIT_S, child.kill)
    watchdog.start()
    try:
        kind, _, length = answer.readline(64).decode("ascii").partition(" ")
        if not length:
            raise EOFError("the decoder gave up")
        dtype = np.dtype(kind)
        if int(length) != layout.rows * layout.columns * dtype.itemsize:
            raise ValueError("the decoder gave another size than the header says")
        data = answer.read(int(length))
    finally:
        watchdog.cancel()
    return np.frombuffer(data, dtype).reshape(layout.rows, layout.columns)


def main() -> None:
    """Serve one request."""
    _limit_memory()
    output = sys.stdout.buffer
    for name, precision in json.load(sys.stdin):
        file = load_header(Path(name))
        if file is None or file.syntax not in GDCM_SYNTAXES:
            return
        decoder, source = get_decoder(UID(file.syntax)), pixel_dataset(file)
        # The words as they are coded are wanted: gdcm cuts some to the bits that the header tells,
        # and refuses some of JPEG-LS where it tells of a sign, which that does not know.
        source.PixelRepresentation = 0
        source.BitsStored, source.HighBit = precision, precision - 1
        source.BitsAllocated = 8 if precision <= 8 else 16 if precision <= 16 else 32
        # pydicom would try whatever is installed: name the one plugin that we depend on.
        frames = decoder.iter_array(
            source, raw=True, decoding_plugin="gdcm", correct_unused_bits=False
        )
        for frame, _ in frames:
            output.write(f"{frame.dtype.str} {frame.nbytes}\n".encode("ascii"))
            output.write(np.ascontiguousarray(frame).tobytes())
            output.flush()


def _limit_memory() -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


if __name__ == "__main__":
    main()
