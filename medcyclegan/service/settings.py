"""Settings of the service, valid from birth: whom it listens to, where it sends, its limits."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from medcyclegan.errors import UsageError
from medcyclegan.workflow.batch.plan import Preference, Rule
from medcyclegan.workflow.synthesize import Options

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# PS3.5: the default repertoire without backslash and control characters, 16 bytes, not all spaces.
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([MGT])i?B?")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"M": 2**20, "G": 2**30, "T": 2**40}
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# A token is guessed over the network: 128 bits of hexadecimal digits are 32 signs.
LEAST_TOKEN_LENGTH = 24
ANY = "*"


@dataclass(frozen=True)
class Destination:
    """A node that derived series are sent to; ``tls`` for DICOM over TLS."""

    ae_title: str
    host: str
    port: int
    tls: bool = False

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return f"{'tls:' if self.tls else ''}{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Peer:
    """Who may send: a calling AE title, or ``*`` for any, from an address of a network."""

    ae_title: str
    network: Network

    def fits(self, ae_title: str, address: str) -> bool:
        """Whether an association of this calling AE title from this address is one of it."""
        return self.ae_title in (ANY, ae_title) and self.fits_address(address)

    def fits_address(self, address: str) -> bool:
        """Whether a connection may come from this address."""
        return parse_address(address) in self.network


@dataclass(frozen=True)
class TlsFiles:
    """A certificate and its key in PEM, and the authorities that peers must be certified by."""

    certificate: Path
    key: Path
    authorities: Path | None = None

    def server_context(self) -> ssl.SSLContext:
        """What a server shows; with ``authorities`` clients must show a certificate, too.

        Raises
        ------
        UsageError
            If the files cannot be read or do not go together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._load(context)
        if self.authorities is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        """What a client shows; servers are verified by ``authorities``, or those of the system.

        Raises
        ------
        UsageError
            If the files cannot be read or do not go together.
        """
        context = ssl.create_default_context()
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.authorities is not None:
                context.load_verify_locations(self.authorities)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                f"The TLS files {self.certificate} and {self.key} cannot be used "
                f"({error.strerror or type(error).__name__})",
                rule="a certificate and its key without a password, both in PEM",
                remedy="check the paths, their permissions, and that the two belong together",
            ) from error


@dataclass(frozen=True)
class Limits:
    """Bounds on what comes from outside.

    Parameters
    ----------
    instance_bytes:
        Of one DICOM instance, or of one uploaded file.
    delivery_bytes, delivery_files:
        Of all that belongs to one study or one upload, unpacked.
    store_bytes:
        Of the whole store; beyond it, nothing more is taken.
    associations:
        Open at once.
    idle_s:
        Without a byte from a peer, an association is ended.
    message_s:
        From the first byte of a message to its last.
    association_s:
        From the beginning of an association to its end.
    """

    instance_bytes: int = 512 * 2**20
    delivery_bytes: int = 8 * 2**30
    delivery_files: int = 20_000
    store_bytes: int = 100 * 2**30
    associations: int = 20
    idle_s: float = 60.0
    message_s: float = 600.0
    association_s: float = 4 * 3600.0


@dataclass(frozen=True)
class DicomSettings:
    """The DICOM node: its title, where it listens, and to whom.

    Raises
    ------
    UsageError
        If a title is not valid, or it listens beyond this computer and nobody is allowed by name.
    """

    ae_title: str = "MEDCYCLEGAN"
    host: str = "127.0.0.1"
    port: int = 11112
    peers: tuple[Peer, ...] = ()
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        check_ae_title(self.ae_title)
        if not self.peers and not is_loopback(self.host):
            raise UsageError(
                f"--dicom-host {self.host} without --allow",
                rule="beyond this computer, senders are those on a list",
                remedy="add --allow AET@ADDRESS for each sender",
            )

    @property
    def allowed(self) -> tuple[Peer, ...]:
        """Who may send; without a list, whoever is on this computer."""
        return self.peers or tuple(Peer(ANY, network) for network in LOOPBACK)


@dataclass(frozen=True)
class WebSettings:
    """The web page: where it listens, under which names, the token, TLS.

    Raises
    ------
    UsageError
        If it listens beyond this computer without a token, or the token is short.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str = field(default="", repr=False)
    names: tuple[str, ...] = ()
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        if not self.token and not is_loopback(self.host):
            raise UsageError(
                f"--http-host {self.host} without a token",
                rule="beyond this computer, the page asks for one",
                remedy="put one into a file (openssl rand -hex 32) and give --token-file",
            )
        if self.token and len(self.token) < LEAST_TOKEN_LENGTH:
            raise UsageError(
                f"A token of {len(self.token)} characters",
                rule=f"it has {LEAST_TOKEN_LENGTH} or more",
                remedy="make one with: openssl rand -hex 32",
            )

    @property
    def known_names(self) -> frozenset[str]:
        """The names in a Host header that are ours: a page of another site cannot pass for us."""
        own = {self.host} if not _is_any(self.host) else set()
        local = (
            {"localhost", "127.0.0.1", "::1"}
            if _is_any(self.host) or is_loopback(self.host)
            else set()
        )
        return frozenset(name.lower() for name in {*self.names, *own, *local})


@dataclass(frozen=True)
class ServiceSettings:
    """All that a service is told when it starts.

    Parameters
    ----------
    store:
        The folder of the queue and of all that it holds.
    model:
        A shipped model's name or a folder.
    destinations:
        Where derived series are sent.
    quiet_s:
        A delivery is complete when so much time has passed without anything arriving.
    keep_s:
        What has ended is removed after this time.
    send_doubtful:
        Whether results that are out-of-distribution for the model are sent without a person's word.
    workers, scheduler:
        Processes here, or a running dask cluster's address.
    """

    store: Path
    model: str = "head-mr-ct"
    rule: Rule = field(default_factory=Preference)
    options: Options = field(default_factory=Options)
    destinations: tuple[Destination, ...] = ()
    dicom: DicomSettings = field(default_factory=DicomSettings)
    web: WebSettings = field(default_factory=WebSettings)
    limits: Limits = field(default_factory=Limits)
    quiet_s: float = 30.0
    keep_s: float = 7 * 86400.0
    send_doubtful: bool = False
    workers: int = 1
    scheduler: str = ""
    sending_tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) != len(names):
            raise UsageError(f"--to {', '.join(names)}", rule="each destination is named once")


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this computer alone."""
    if host.lower() == "localhost":
        return True
    try:
        return parse_address(host).is_loopback
    except ValueError:
        return False


def _is_any(host: str) -> bool:
    try:
        return parse_address(host).is_unspecified
    except ValueError:
        return False


def parse_address(text: str) -> Address:
    """Return an IP address; one of IPv4 that is written as IPv6 is the one of IPv4.

    Raises
    ------
    ValueError
        If it is none.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def check_ae_title(title: str) -> str:
    """Return an AE title without blanks around it; raises UsageError if it is not valid."""
    if not _AE_TITLE.fullmatch(title) or not title.strip():
        raise UsageError(
            f"The AE title {title!r}", rule="1 to 16 printable ASCII characters, no backslash"
        )
    return title.strip()


def parse_destination(text: str) -> Destination:
    """Understand ``AET@HOST:PORT``, or ``tls:AET@HOST:PORT``; raises UsageError."""
    bare = text.removeprefix("tls:")
    title, at, place = bare.rpartition("@")
    host, colon, port = place.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isdecimal() and 0 < int(port) < 65536
    if not (at and colon and host and is_port):
        raise UsageError(
            f"--to {text}", rule="it is AET@HOST:PORT", remedy="for example PACS@10.0.0.5:104"
        )
    return Destination(check_ae_title(title), host, int(port), tls=text != bare)


def parse_peer(text: str) -> Peer:
    """Understand ``AET@ADDRESS``: a title or ``*``, and an IP address, network or host name.

    A host name is looked up once, now.

    Raises
    ------
    UsageError
        If it is none, or the name is not known.
    """
    title, at, place = text.rpartition("@")
    if not at or not place:
        raise UsageError(
            f"--allow {text}", rule="it is AET@ADDRESS",
            remedy="for example SCANNER1@10.0.0.7, or *@10.0.0.0/24 for any title of a network",
        )  # fmt: skip
    if title != ANY:
        title = check_ae_title(title)
    try:
        return Peer(title, ipaddress.ip_network(place, strict=False))
    except ValueError:
        pass
    try:
        return Peer(title, ipaddress.ip_network(socket.gethostbyname(place)))
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"--allow {text}: {place} is no address, and no host of that name is known",
            rule="it is an IP address, a network as 10.0.0.0/24, or a host name",
        ) from error


def parse_duration(text: str, option: str) -> float:
    """Return the seconds of ``30s``, ``10m``, ``12h`` or ``7d``; raises UsageError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option} {text}", rule="a number and one of s, m, h, d, as 30s or 7d")
    return float(found[1]) * _SECONDS[found[2]]


def parse_size(text: str, option: str) -> int:
    """Return the bytes of ``512M``, ``8G`` or ``1T``; raises UsageError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{option} {text}", rule="a number and one of M, G, T, as 512M or 100G")
    return int(float(found[1]) * _BYTES[found[2]])


def read_token(path: Path) -> str:
    """Return the first line of a file; raises UsageError if it is empty."""
    try:
        with path.open(encoding="ascii") as file:
            token = file.readline(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--token-file {path} cannot be read", rule="a file of one line of ASCII"
        ) from error
    if not token:
        raise UsageError(f"--token-file {path} is empty", remedy="openssl rand -hex 32 > FILE")
    return token
