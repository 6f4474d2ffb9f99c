"""The program's arguments."""

import argparse
from dataclasses import dataclass

from videoconf_info.failure import UsageError


@dataclass
class Arguments:
    call_id: str | None
    server: str
    authority: str | None
    timeout: float
    max_age: float | None
    tls_ca: str | None
    tls_cert: str | None
    tls_key: str | None
    health: bool
    json: bool
    aio: bool


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        # argparse's own writes the usage beside it.
        raise UsageError(message)


def parse(args: list[str]) -> Arguments:
    parser = Parser(
        prog="info",
        allow_abbrev=False,
        description="Asks a videoconf-facade for a conference and tells what it heard.",
        epilog="Credentials come from VIDEOCONF_USER_ID and VIDEOCONF_AUTH_TOKEN.",
    )
    add = parser.add_argument
    add("call_id", metavar="CALL_ID", nargs="?", help="the conference's id")
    add(
        "--server",
        metavar="TARGET",
        default="localhost:50051",
        help="where the facade listens, as a target of grpcio (default: %(default)s)",
    )
    add(
        "--authority",
        metavar="NAME",
        help="the :authority to send, and the name that the certificate must be for",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=10.0,
        help="the deadline of the call (default: 10)",
    )
    add(
        "--max-age",
        metavar="SECONDS",
        type=seconds,
        help="the oldest answer to accept; 0 is a read of its own (default: the facade's choice)",
    )
    add("--tls-ca", metavar="FILE", help="speak TLS, and trust the authorities in this PEM file")
    add("--tls-cert", metavar="FILE", help="the client's own certificate, a PEM file")
    add("--tls-key", metavar="FILE", help="its key, a PEM file")
    add("--health", action="store_true", help="ask for the service's health in place of a call")
    add("--json", action="store_true", help="print protobuf's JSON, and failures as JSON, too")
    add("--aio", action="store_true", help="use the asyncio client")
    asked = Arguments(**vars(parser.parse_args(args)))

    if not asked.server:
        parser.error("--server: no target")
    # A negative max_age is the facade's to refuse.
    if asked.timeout <= 0:
        parser.error(f"--timeout {asked.timeout:g}: not a time to wait")
    if not asked.tls_ca and (asked.tls_cert or asked.tls_key):
        parser.error("--tls-cert and --tls-key need --tls-ca")
    if bool(asked.tls_cert) != bool(asked.tls_key):
        parser.error("--tls-cert and --tls-key need each other")
    if asked.call_id is None and not asked.health:
        parser.error("CALL_ID is missing; --help tells more")
    try:
        (asked.call_id or "").encode()
    except UnicodeEncodeError:
        parser.error("CALL_ID isn't UTF-8, which protobuf's strings are")
    return asked


def seconds(text: str) -> float:
    value = float(text)
    # Written so that NaN is refused, too.
    if not abs(value) < 2**63 / 1e9:
        raise argparse.ArgumentTypeError(f"{text}: not a number of seconds that fits")
    return value
