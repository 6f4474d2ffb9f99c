"""A Rocket.Chat user's credentials: the facade has none, each call brings its caller's."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    user_id: str
    # Not in the repr, so not in logs and tracebacks.
    auth_token: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user_id or not self.auth_token:
            raise ValueError("user id and auth token are both needed")
        for name, value in (("user id", self.user_id), ("auth token", self.auth_token)):
            # A newline, say, from a file: grpcio would raise in the midst of a call.
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"the {name} has a byte outside printable ASCII")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata of a call.

        Not grpc.metadata_call_credentials: grpcio takes those over TLS only, and a facade on the
        same machine or behind a mesh's sidecar speaks plain HTTP/2.
        """
        return (("x-user-id", self.user_id), ("x-auth-token", self.auth_token))
