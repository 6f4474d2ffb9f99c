"""Asks a videoconf-facade for a conference and tells what it heard."""

import asyncio
import os
import sys
from datetime import UTC, datetime

# grpcio writes handshakes that fail to stderr; the error of the call says it, too. It is read when
# grpc is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc  # noqa: E402
from google.protobuf import json_format, message  # noqa: E402

from videoconf import AsyncClient, Client, Credentials, Error, Tls  # noqa: E402
from videoconf_info import arguments  # noqa: E402
from videoconf_info.describe import describe  # noqa: E402
from videoconf_info.failure import UsageError, fail  # noqa: E402


def main() -> int:
    # What a terminal's encoding lacks is no reason to fail.
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        asked = arguments.parse(sys.argv[1:])
        print(tell(asked, ask(asked)))
    except (Error, UsageError, json_format.Error, ValueError) as e:
        return fail(e, as_json="--json" in sys.argv[1:])
    except KeyboardInterrupt:
        return 130
    return 0


def ask(asked: arguments.Arguments) -> message.Message:
    credentials = None
    if not asked.health:
        try:
            credentials = Credentials(
                os.environ.get("VIDEOCONF_USER_ID", ""), os.environ.get("VIDEOCONF_AUTH_TOKEN", "")
            )
        except ValueError as e:
            raise UsageError(f"VIDEOCONF_USER_ID, VIDEOCONF_AUTH_TOKEN: {e}") from e
    tls = Tls(asked.tls_ca, asked.tls_cert, asked.tls_key) if asked.tls_ca else None
    options = {"authority": asked.authority, "tls": tls}
    try:
        if asked.aio:
            return asyncio.run(ask_aio(asked, credentials, options))
        with Client(asked.server, credentials, **options) as client:
            if asked.health:
                return client.health(timeout=asked.timeout)
            return client.get_info(asked.call_id, max_age=asked.max_age, timeout=asked.timeout)
    except OSError as e:
        raise UsageError(str(e)) from e


async def ask_aio(asked, credentials, options) -> message.Message:
    async with AsyncClient(asked.server, credentials, **options) as client:
        if asked.health:
            return await client.health(timeout=asked.timeout)
        return await client.get_info(asked.call_id, max_age=asked.max_age, timeout=asked.timeout)


def tell(asked: arguments.Arguments, response: message.Message) -> str:
    if asked.health:
        status = type(response).DESCRIPTOR.fields_by_name["status"].enum_type
        found = status.values_by_number.get(response.status)
        name = found.name if found else str(response.status)
        if name != "SERVING":
            raise Error(grpc.StatusCode.UNAVAILABLE, f"the service is {name}")
        if not asked.json:
            return name
    if asked.json:
        return json_format.MessageToJson(response, ensure_ascii=False)
    return describe(response, datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
