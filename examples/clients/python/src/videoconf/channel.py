"""What the blocking and the asyncio channel have in common."""

import ssl
from dataclasses import dataclass
from importlib import resources

import grpc

# Retries, round robin and health checks; a copy of proto/service_config.json.
SERVICE_CONFIG = resources.files("videoconf").joinpath("service_config.json").read_text("utf-8")

# As long as the facade itself takes for an attempt, at most. More leaves time to try again.
DEFAULT_TIMEOUT = 10.0


@dataclass(frozen=True)
class Tls:
    """Trusts the authorities in `ca` and nobody else, and shows `cert`; all are PEM files.

    Without `ca`, the list that grpcio brings is trusted, not the system's.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Raises OSError if a file can't be read or used."""
        # grpcio takes any bytes, and fails later without a word about the file.
        check = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca:
            try:
                check.load_verify_locations(self.ca)
            except OSError as e:
                raise OSError(f"{self.ca}: {e}") from e
        if self.cert and self.key:
            try:
                # With a password, so that nobody is asked for one.
                check.load_cert_chain(self.cert, self.key, password="")
            except OSError as e:
                raise OSError(f"{self.cert}, {self.key}: {e}") from e
        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.cert))


def options(authority: str | None) -> list[tuple[str, str | int]]:
    """A channel's options."""
    found: list[tuple[str, str | int]] = [
        ("grpc.service_config", SERVICE_CONFIG),
        # Finds out within 80 s that a peer has vanished without a word, which TCP takes a quarter
        # of an hour for. The facade answers any ping, but what stands between may count them as
        # abuse: hence not more often, and only while a call is under way.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
    ]
    if authority:
        # Sent as `:authority`, and the certificate must be for it.
        found.append(("grpc.default_authority", authority))
    return found


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()
