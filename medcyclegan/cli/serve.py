"""``medcyclegan serve``."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medcyclegan.cli.common import Voice
from medcyclegan.errors import UsageError

if TYPE_CHECKING:
    from medcyclegan.service.settings import Limits, ServiceSettings, TlsFiles

EXAMPLES = """\b
Examples:
  medcyclegan serve
  medcyclegan serve --to PACS@10.0.0.5:104 --dicom-host 10.0.0.9 --allow MR1@10.0.0.7
  medcyclegan serve --http-host 0.0.0.0 --http-name sct.example --token-file token
"""

_PACKAGES = ("fastapi", "pynetdicom", "starlette", "uvicorn")
_PATH = click.Path(path_type=Path)


@click.command("serve", epilog=EXAMPLES)
@click.option(
    "--store", type=_PATH, default="medcyclegan_store", show_default=True,
    help="Folder of the queue and all that it holds.",
)  # fmt: skip
@click.option("--aet", default="MEDCYCLEGAN", show_default=True, help="AE title of this node.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=11112, show_default=True,
    help="Port for DICOM.",
)  # fmt: skip
@click.option(
    "--dicom-host", default="127.0.0.1", show_default=True, help="Address to listen on for DICOM."
)
@click.option(
    "--allow", multiple=True, metavar="AET@ADDRESS",
    help="Who may send: title, or *, and IP address, network or host; once for each.",
)  # fmt: skip
@click.option(
    "--to", multiple=True, metavar="AET@HOST:PORT",
    help="Send results there; tls:AET@HOST:PORT for TLS; once for each.",
)  # fmt: skip
@click.option("--send-doubtful", is_flag=True, help="Send results that are not to be trusted, too.")
@click.option(
    "--quiet", default="30s", show_default=True, metavar="TIME",
    help="A study is complete when nothing came for so long.",
)  # fmt: skip
@click.option(
    "--http", type=click.IntRange(0, 65535), default=8080, show_default=True,
    help="Port of the page.",
)  # fmt: skip
@click.option("--http-host", default="127.0.0.1", show_default=True, help="Address of the page.")
@click.option(
    "--http-name", multiple=True, metavar="NAME", help="A host name that the page is called by."
)
@click.option("--token-file", type=_PATH, help="File with the token that the page asks for.")
@click.option("--http-cert", type=_PATH, help="Certificate of the page, PEM.")
@click.option("--http-key", type=_PATH, help="Its key, PEM.")
@click.option("--dicom-cert", type=_PATH, help="Certificate of the node, PEM: DICOM over TLS.")
@click.option("--dicom-key", type=_PATH, help="Its key, PEM.")
@click.option("--dicom-ca", type=_PATH, help="Authorities that peers are certified by, PEM.")
@click.option("--model", default="head-mr-ct", show_default=True, help="Shipped model or folder.")
@click.option(
    "--select", "rule", default="auto", show_default=True, metavar="RULE",
    help="As in batch: auto, all, T2w,T1w, or description~PATTERN.",
)  # fmt: skip
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto",
    show_default=True, help="Where the network runs.",
)  # fmt: skip
@click.option("--views", type=click.Choice(["1", "3"]), default="1", show_default=True,
              help="Slab orientations; with 3 the median of the three is taken.")  # fmt: skip
@click.option("--bias-correction", is_flag=True, help="Correct the shading of MR first (N4).")
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True,
    help="Processes on this computer.",
)  # fmt: skip
@click.option("--scheduler", default="", metavar="ADDRESS", help="A running dask cluster's.")
@click.option(
    "--keep", default="7d", show_default=True, metavar="TIME", help="Remove what ended after it."
)
@click.option("--max-instance", default="512M", show_default=True, help="Of one instance or file.")
@click.option("--max-study", default="8G", show_default=True, help="Of one study or upload.")
@click.option("--max-files", type=click.IntRange(1), default=20000, show_default=True,
              help="Files of one study or upload.")  # fmt: skip
@click.option("--max-store", default="100G", show_default=True, help="Of all that is kept.")
@click.option("--max-associations", type=click.IntRange(1), default=20, show_default=True,
              help="Open at once.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.option("--debug", is_flag=True, help="Show tracebacks and all of the log.")
def serve(*, verbose: bool, debug: bool, **flags: Any) -> None:
    """Run a DICOM node with a web page: series arrive, are translated, and are sent on.

    It runs until it is stopped (Ctrl-C, SIGTERM). What is in its queue is gone on with when it is
    started again. docs/service.md tells operators more.
    """
    voice = Voice(level=int(verbose), debug=debug, json=False)
    voice.start_logging()
    settings = _settings(flags)
    from functools import partial

    from medcyclegan.models.store import load_model
    from medcyclegan.service.node import Service
    from medcyclegan.workflow.batch.workers import Crew, connected

    _log_to_stderr(voice)
    crew = Crew(workers=settings.workers, scheduler=settings.scheduler)
    service = Service(settings, load_model(settings.model), partial(connected, crew))
    try:
        service.start()
        _greet(voice, service)
        service.run(threading.Event())
    finally:
        service.stop()


def _settings(flags: dict[str, Any]) -> ServiceSettings:
    """Understand the options; raises UsageError, also where the extra is not installed."""
    _refuse_without_extra()
    from medcyclegan.cli.conversions import options_of
    from medcyclegan.service import settings as known
    from medcyclegan.workflow.batch.plan import parse_rule
    from medcyclegan.workflow.batch.run import name_for_workers

    node_tls = _tls(flags, "dicom", flags["dicom_ca"])
    return known.ServiceSettings(
        store=flags["store"],
        model=name_for_workers(flags["model"]),
        rule=parse_rule(flags["rule"]),
        options=options_of(flags),
        destinations=tuple(map(known.parse_destination, flags["to"])),
        dicom=known.DicomSettings(
            ae_title=flags["aet"], host=flags["dicom_host"], port=flags["port"],
            peers=tuple(map(known.parse_peer, flags["allow"])), tls=node_tls,
        ),
        web=known.WebSettings(
            host=flags["http_host"], port=flags["http"], names=flags["http_name"],
            token=known.read_token(flags["token_file"]) if flags["token_file"] else "",
            tls=_tls(flags, "http", None),
        ),
        limits=_limits(flags),
        quiet_s=known.parse_duration(flags["quiet"], "--quiet"),
        keep_s=known.parse_duration(flags["keep"], "--keep"),
        send_doubtful=flags["send_doubtful"],
        workers=flags["workers"],
        scheduler=flags["scheduler"],
        sending_tls=node_tls,
    )  # fmt: skip


def _limits(flags: dict[str, Any]) -> Limits:
    from medcyclegan.service.settings import Limits, parse_size

    return Limits(
        instance_bytes=parse_size(flags["max_instance"], "--max-instance"),
        delivery_bytes=parse_size(flags["max_study"], "--max-study"),
        delivery_files=flags["max_files"],
        store_bytes=parse_size(flags["max_store"], "--max-store"),
        associations=flags["max_associations"],
    )


def _tls(flags: dict[str, Any], what: str, authorities: Path | None) -> TlsFiles | None:
    from medcyclegan.service.settings import TlsFiles

    certificate, key = flags[f"{what}_cert"], flags[f"{what}_key"]
    if not certificate and not key and not authorities:
        return None
    if not certificate or not key:
        raise UsageError(
            f"TLS for {what} is half told", rule=f"--{what}-cert and --{what}-key go together"
        )
    return TlsFiles(certificate, key, authorities)


def _refuse_without_extra() -> None:
    from importlib.util import find_spec

    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise UsageError(
            f"The package {missing[0]} is not installed",
            rule=f"the service needs {', '.join(_PACKAGES)}",
            remedy="pip install 'medcyclegan[serve]'",
        )


def _log_to_stderr(voice: Voice) -> None:
    """Tell what the service does, a line each, with the time; there is no patient in it."""
    logger = logging.getLogger("medcyclegan.service")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG if voice.debug else logging.INFO)


def _greet(voice: Voice, service: Any) -> None:
    from medcyclegan.service.settings import is_loopback

    settings, node = service.settings, service.parts.node
    scheme = "https" if settings.web.tls else "http"
    tls = " over TLS" if settings.dicom.tls else ""
    page = f"{scheme}://{_bracketed(settings.web.host)}:{service.web.port}/"
    voice.say(f"DICOM: {settings.dicom.ae_title} on {settings.dicom.host}:{node.port}{tls}")
    voice.say(f"Page:  {page}")
    beyond = not is_loopback(settings.web.host)
    if settings.web.token and beyond and not settings.web.tls:
        voice.warn("the token goes over the network unencrypted: give --http-cert and --http-key")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
