"""Load, faults and kills of the service, with dcmtk's storescu and storescp as its peers.

    python -m benchmarks.serve_load load --out DIR
    python -m benchmarks.serve_load disk --out DIR     (as root: it mounts a small tmpfs)
    python -m benchmarks.serve_load kills --out DIR --kills 12

``load``: so many patients at once, an association each, while one sender is cut off in the middle
of a slice and comes again, one dawdles, and one of two destinations is slow. ``disk``: the disk of
the store fills up, and is enlarged. ``kills``: SIGKILL to the process at random moments, started
again each time. Each ends with a look at what arrived: every patient's slices, in one series, made
of the patient's own; the exit code is 1 if anything is missing, twice or mixed. The network is a
tiny untrained one: it is the service that is measured.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, evt

from medcyclegan.core.geometry import geometry_from_spacing
from tests.dicom_factory import make_series
from tests.peers import free_port, program, storage_node, storescu
from tests.service.running import Page, associate, wait_until
from tests.tiny_model import head_on, tiny_folder

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_START_S = 240.0
_SLOW_S = 0.1  # a slow destination's answer to each instance
_DAWDLE_S = 0.05


@dataclass
class Server:
    """The service as a process of its own, in a group with its workers."""

    out: Path
    model: Path
    to: list[str]
    port: int = field(default_factory=free_port)
    http: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until it is well; returns the seconds that took."""
        command = [
            sys.executable, "-m", "medcyclegan", "serve", "--store", str(self.out / "store"),
            "--port", str(self.port), "--http", str(self.http), "--quiet", "2s",
            "--model", str(self.model), "--device", "cpu", "--max-associations", "40",
        ]  # fmt: skip
        for destination in self.to:
            command += ["--to", destination]
        started = time.monotonic()
        log = (self.out / "serve.log").open("ab")
        self.process = subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True)
        wait_until(self.is_well, seconds=_START_S, what="the service is well")
        return time.monotonic() - started

    def is_well(self) -> bool:
        """Whether it answers that it is."""
        try:
            return Page(self.http).ask("GET", "/healthz").status == 200
        except OSError:
            return False

    def queue(self) -> list[dict[str, object]]:
        """What the page shows of the queue."""
        return list(Page(self.http).ask("GET", "/api/queue").json()["deliveries"])

    def is_done(self) -> bool:
        """Whether all that arrived was translated and accepted by all."""
        deliveries = self.queue()
        jobs = [job for delivery in deliveries for job in delivery["jobs"]]
        sends = [send for job in jobs for send in job["sends"]]
        return (
            all(delivery["state"] == "planned" for delivery in deliveries)
            and all(job["state"] == "done" for job in jobs)
            and all(send["state"] == "accepted" for send in sends)
        )

    def kill(self) -> None:
        """SIGKILL to the process; its workers end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """SIGTERM; returns the seconds until it had ended."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        return time.monotonic() - started


def make_patients(folder: Path, *, count: int, slices: int, matrix: int) -> list[Path]:
    """A folder with a series for each patient, of other signal each."""
    spacing_mm = (256.0 / matrix, 256.0 / matrix, 200.0 / slices)
    mr, _ = head_on(geometry_from_spacing((matrix, matrix, slices), spacing_mm))
    folders = []
    for number in range(count):
        stored = np.rint(mr.voxels * (1.0 + 0.02 * number)).clip(0, 4095).astype("<u2")

        def fill(ds: Dataset, k: int, *, number: int = number, stored: object = stored) -> None:
            ds.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()  # type: ignore[index]
            ds.PatientID, ds.PatientName = f"P{number:03d}", f"Patient^{number:03d}"
            ds.StudyInstanceUID = generate_uid(entropy_srcs=["load study", str(number)])
            ds.FrameOfReferenceUID = generate_uid(entropy_srcs=["load frame", str(number)])
            ds.SeriesDescription = "t1_mprage"

        folders.append(folder / f"P{number:03d}")
        make_series(
            folders[-1], shape=(matrix, matrix, slices), affine_ras=mr.geometry.affine_ras,
            changes=fill,
        )  # fmt: skip
    return folders


@contextmanager
def slow_node() -> Iterator[tuple[int, dict[str, bytes]]]:
    """A destination that takes its time; gives its port, and what it got by SOPInstanceUID."""
    got: dict[str, bytes] = {}

    def store(event: evt.Event) -> int:
        time.sleep(_SLOW_S)
        got[str(event.request.AffectedSOPInstanceUID)] = event.request.DataSet.getvalue()
        return 0

    entity = AE("SLOW")
    entity.add_supported_context(CT_IMAGE, ["1.2.840.10008.1.2.1"])
    address = ("127.0.0.1", 0)
    server = entity.start_server(address, block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    yield server.server_address[1], got
    server.shutdown()


def faults(received: Path, patients: list[Path], slices: int) -> list[str]:
    """What is missing, twice or mixed among the files that a destination got."""
    owner = {str(dcmread(p, stop_before_pixels=True).SOPInstanceUID): folder.name
             for folder in patients for p in folder.iterdir()}  # fmt: skip
    series: defaultdict[str, set[str]] = defaultdict(set)
    sources: defaultdict[str, set[str]] = defaultdict(set)
    found = []
    for path in received.iterdir():
        ds = dcmread(path, stop_before_pixels=True)
        source = str(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)
        series[str(ds.PatientID)].add(str(ds.SeriesInstanceUID))
        sources[str(ds.PatientID)].add(source)
        if owner.get(source) != ds.PatientID:
            found.append(f"{path.name}: made of another patient's slice")
    for folder in patients:
        if len(sources[folder.name]) != slices:
            found.append(f"{folder.name}: {len(sources[folder.name])} of {slices} slices")
        if len(series[folder.name]) != 1:
            found.append(f"{folder.name}: {len(series[folder.name])} series")
    count, expected = len(list(received.iterdir())), slices * len(patients)
    if count != expected:
        found.append(f"{count} files for {expected} instances")
    return found


def send(folder: Path, server: Server) -> float:
    """Send a series as an archive does: again, until an association took all; the seconds."""
    started = time.monotonic()
    while storescu(folder, server.port, "-aec", "MEDCYCLEGAN").returncode:
        time.sleep(0.5)
    return time.monotonic() - started


def send_broken(folder: Path, server: Server) -> None:
    """Send some slices, and half of the next one."""
    association = associate(server.port, title="BROKEN")
    for path in sorted(folder.iterdir())[:10]:
        association.send_c_store(dcmread(path))
    raw = association.dul.socket.socket
    raw.sendall(struct.pack(">BBL", 4, 0, 5000) + b"\0" * 700)
    raw.shutdown(socket.SHUT_RDWR)
    association.kill()


def dawdle(folder: Path, server: Server) -> None:
    """Send a series slowly."""
    association = associate(server.port, title="SLOWLY")
    for path in sorted(folder.iterdir()):
        association.send_c_store(dcmread(path))
        time.sleep(_DAWDLE_S)
    association.release()


def together(jobs: list[threading.Thread]) -> None:
    """Run threads at once, until all have ended."""
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()


def load(arguments: argparse.Namespace) -> list[str]:
    """Many at once, with one that breaks off and slow ones."""
    out, slices = arguments.out, arguments.slices
    patients = make_patients(
        out / "in", count=arguments.patients, slices=slices, matrix=arguments.matrix
    )
    model = tiny_folder(out / "tiny")
    with storage_node(out / "pacs", "-aet", "PACS") as fast, slow_node() as (slow, got):
        to = [f"PACS@127.0.0.1:{fast}", f"SLOW@127.0.0.1:{slow}"]
        server = Server(out, model, to)
        print(f"started in {server.start():.1f} s")
        started = time.monotonic()
        seconds: list[float] = []
        broken, dawdling = patients[0], patients[1]
        jobs = [
            threading.Thread(target=lambda f=folder: seconds.append(send(f, server)))
            for folder in patients[2:]
        ]
        jobs.append(threading.Thread(target=send_broken, args=(broken, server)))
        jobs.append(threading.Thread(target=dawdle, args=(dawdling, server)))
        together(jobs)
        received_s = time.monotonic() - started
        print(f"{len(jobs)} associations at once: {received_s:.1f} s, the slowest of storescu "
              f"{max(seconds):.1f} s")  # fmt: skip
        seen = wait_until(lambda: {d["sender"]: d["state"] for d in server.queue()
                                   if d["state"] == "incomplete"}, seconds=60)  # fmt: skip
        print(f"incomplete: {seen}")
        # The same sender comes again with all of it.
        storescu(broken, server.port, "-aet", "BROKEN", "-aec", "MEDCYCLEGAN")
        wait_until(server.is_done, seconds=3600, what="all was done")
        total_s = time.monotonic() - started
        count = slices * len(patients)
        print(f"{count} slices in, {count} out to each of two: {total_s:.1f} s in all")
        text = Page(server.http).ask("GET", "/metrics").body.decode()
        print("\n".join(line for line in text.splitlines() if "_total" in line and line[0] != "#"))
        rss = rss_mib(server)
        print(f"memory of the process {rss:.0f} MiB; stopped in {server.stop():.1f} s")
        found = faults(out / "pacs", patients, slices)
        if len(got) != count:
            found.append(f"the slow destination got {len(got)} of {count}")
        return found


def rss_mib(server: Server) -> float:
    """The largest resident memory that the process had."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024.0


def disk(arguments: argparse.Namespace) -> list[str]:
    """A store on a disk that is too small, then large enough."""
    out, slices = arguments.out, arguments.slices
    patients = make_patients(out / "in", count=3, slices=slices, matrix=arguments.matrix)
    size = sum(p.stat().st_size for folder in patients for p in folder.iterdir())
    (out / "store").mkdir(parents=True)
    small, large = int(size * 0.5), int(size * 8) + 2**26
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={small}", "tmpfs", str(out / "store")], check=True
    )
    try:
        with storage_node(out / "pacs", "-aet", "PACS") as port:
            server = Server(out, tiny_folder(out / "tiny"), [f"PACS@127.0.0.1:{port}"])
            server.start()
            codes = [storescu(f, server.port, "-aec", "MEDCYCLEGAN").returncode for f in patients]
            print(f"with half of the room: storescu returned {codes}")
            found = [] if any(codes) else ["no sender was told that the disk is full"]
            if not Page(server.http).ask("GET", "/healthz").body:
                found.append("the page does not answer")
            time.sleep(5)
            remount = ["mount", "-o", f"remount,size={large}", str(out / "store")]
            subprocess.run(remount, check=True)
            for folder in patients:
                send(folder, server)
            wait_until(lambda: retried(server), seconds=900, what="all was done")
            server.stop()
            return found + faults(out / "pacs", patients, slices)
    finally:
        subprocess.run(["umount", str(out / "store")], check=False)


def retried(server: Server) -> bool:
    """Whether all is done; what failed for want of room is put back, as a person would."""
    page = Page(server.http).open()
    for delivery in server.queue():
        for job in delivery["jobs"]:  # type: ignore[attr-defined]
            if job["state"] in ("failed", "waiting") and job["reason"]:
                page.ask("POST", f"/api/jobs/{job['id']}/retry")
    return server.is_done()


def kills(arguments: argparse.Namespace) -> list[str]:
    """SIGKILL at random moments while senders go on until all is taken."""
    out, slices, chance = arguments.out, arguments.slices, random.Random(arguments.seed)
    patients = make_patients(
        out / "in", count=arguments.patients, slices=slices, matrix=arguments.matrix
    )
    with storage_node(out / "pacs", "-aet", "PACS") as port:
        server = Server(out, tiny_folder(out / "tiny"), [f"PACS@127.0.0.1:{port}"])
        took = server.start()
        senders = [threading.Thread(target=send, args=(f, server)) for f in patients]
        pauses = [chance.uniform(0, 1.5 * arguments.kills) for _ in senders]
        timers = [threading.Timer(p, s.start) for p, s in zip(pauses, senders, strict=True)]
        for timer in timers:
            timer.start()
        for number in range(arguments.kills):
            time.sleep(chance.uniform(*arguments.pause))
            deliveries = server.queue()
            states = [d["state"] for d in deliveries]
            states += [j["state"] for d in deliveries for j in d["jobs"]]  # type: ignore[attr-defined]
            server.kill()
            print(f"kill {number + 1}: {dict(Counter(states))}, "
                  f"{len(list((out / 'pacs').iterdir()))} instances out", flush=True)  # fmt: skip
            took = server.start()
        for timer, sender in zip(timers, senders, strict=True):
            timer.join()
            sender.join()
        wait_until(server.is_done, seconds=3600, what="all was done")
        print(f"the last start took {took:.1f} s")
        server.stop()
        return faults(out / "pacs", patients, slices)


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("load", "disk", "kills"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--matrix", type=int, default=128)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument(
        "--pause", type=float, nargs=2, default=(0.2, 20.0), help="least and most s to a kill"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    program("storescu")
    found = {"load": load, "disk": disk, "kills": kills}[arguments.what](arguments)
    print("\n".join(found) or "nothing lost, nothing twice, nothing mixed")
    sys.stdout.flush()
    os._exit(1 if found else 0)  # threads of pynetdicom may be left


if __name__ == "__main__":
    main()
