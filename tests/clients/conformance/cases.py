"""What each client has to show, as assertions on values."""

# What upstream says of the call "newer", as protobuf's JSON has it.
NEWER = {
    "_id": "newer",
    "status": "VIDEO_CONFERENCE_STATUS_STARTED",
    "title": "Übergabe",
    "users": [{"_id": "mia", "username": "mia", "additionalFields": {"pronouns": "she"}}],
    "additionalFields": {"type": "hologram", "moderators": ["mia", None, 2.5, {"deep": [True]}]},
}


class Case:
    """A client that is run with arguments, and what it has to say."""

    def __init__(self, name, arguments, check, user=True, output="--json", interrupted_when=None):
        self.name, self.check, self.user = name, check, user
        self.arguments = [output, *arguments] if output else arguments
        # Ctrl-c comes as soon as this is true.
        self.interrupted_when = interrupted_when


def found(upstream, call_id):
    def check(ran):
        equal(ran.status, 0, ran.stderr)
        answer = ran.json()
        read_at = answer.pop("readAt")
        assert read_at.endswith("Z"), read_at
        equal(answer, {"videoConference": upstream.conference(call_id)})

    return check


def says(*texts):
    """In words, for people."""

    def check(ran):
        equal(ran.status, 0, ran.stderr)
        for text in texts:
            assert text in ran.stdout, f"no {text} in {ran.stdout}"

    return check


def answered(conference):
    def check(ran):
        equal(ran.status, 0, ran.stderr)
        equal(ran.json()["videoConference"], conference)

    return check


def cancelled(server):
    """Its leaving reached the facade, and nothing was said."""

    def check(ran):
        assert ran.status in (-2, 130), ran.status
        assert ran.took < 5, f"took {ran.took:.1f} s"
        equal(ran.stdout + ran.stderr, "")
        line = server.wait_for_line('"CANCELLED"')
        assert line, "the facade didn't hear of it"

    return check


def refused(status, code, reason, **details):
    def check(ran):
        equal(ran.status, status, ran.stderr)
        refusal = ran.json()
        equal(refusal["code"], code)
        equal(refusal.get("reason"), reason)
        for name, expected in details.items():
            equal(refusal.get(name), expected)
        one_line(ran)

    return check


def failed(status, *codes):
    """Without a word of the facade."""

    def check(ran):
        equal(ran.status, status, ran.stderr)
        code = ran.json()["code"]
        assert code in codes, f"{code}, expected one of {codes}"
        one_line(ran)

    return check


def in_time(check, seconds):
    def both(ran):
        check(ran)
        assert ran.took < seconds, f"took {ran.took:.1f} s"

    return both


def usage(ran):
    equal(ran.status, 2, ran.stderr)
    one_line(ran)


def serving(ran):
    equal(ran.status, 0, ran.stderr)
    assert "SERVING" in ran.stdout and "NOT" not in ran.stdout, ran.stdout


def waited(upstream, call_id):
    """It was refused once, waited for as long as the facade said, and then went well."""

    def check(ran):
        equal(ran.status, 0, ran.stderr)
        equal(ran.json()["videoConference"]["_id"], "later")
        first, second = upstream.asked[call_id]
        assert 1.0 <= second - first < 3.0, f"came again after {second - first:.2f} s"

    return check


def read_anew(upstream, call_id, before):
    def check(ran):
        equal(ran.status, 0, ran.stderr)
        equal(len(upstream.asked[call_id]), before + 1)

    return check


def one_line(ran):
    equal(len(ran.stderr.strip().splitlines()), 1, ran.stderr)


def equal(found, expected, more=""):
    assert found == expected, f"{found!r}, expected {expected!r} {more}".strip()


def cases(client, servers, upstream, calls):
    """All of them, in order, for a client of this name."""
    plain = ["--server", servers.plain]
    first = calls[0]
    for at, call_id in enumerate(calls):
        yield Case(f"conference {at + 1}", [*plain, call_id], found(upstream, call_id))
    yield Case("in words", [*plain, "newer"], says("started", "Übergabe", "moderators", "hologram"), output=None)
    yield Case("new fields", [*plain, "newer"], answered(NEWER))
    yield Case("new values", ["--server", servers.newer, "n"], answered({"_id": "n", "type": 98, "status": 99}))
    yield Case(
        "no such call",
        [*plain, "no-such-call"],
        refused(3, "INVALID_ARGUMENT", "CALL_NOT_FOUND_OR_NOT_VISIBLE", metadata={"http_status": "400"}),
    )
    yield Case("bad id", [*plain, ""], bad_id)
    yield Case(
        "bad token",
        [*plain, first],
        refused(5, "UNAUTHENTICATED", "CREDENTIALS_REJECTED"),
        user=False,
    )
    yield Case("403", [*plain, "forbidden"], refused(5, "PERMISSION_DENIED", "FORBIDDEN"))
    yield Case("404", [*plain, "gone"], refused(3, "NOT_FOUND", "CALL_NOT_FOUND"))
    yield Case("500", [*plain, "failed"], refused(1, "INTERNAL", "UPSTREAM_FAILED"))
    yield Case("HTML", [*plain, "html"], refused(1, "INTERNAL", "UPSTREAM_MALFORMED"))
    yield Case(
        "deadline",
        [*plain, "--timeout", "1", f"hang-{client}"],
        in_time(failed(7, "DEADLINE_EXCEEDED"), 10),
    )
    hang = f"hang-{client}-cancelled"
    yield Case(
        "cancelled",
        [*plain, "--timeout", "30", hang],
        cancelled(servers.running["plain"]),
        interrupted_when=lambda: hang in upstream.asked,
    )
    yield Case("pushback", [*plain, f"later-{client}"], waited(upstream, f"later-{client}"))
    before = len(upstream.asked.get(first, []))
    yield Case("max age 0", [*plain, "--max-age", "0", first], read_anew(upstream, first, before))
    yield Case("health", [*plain, "--health"], serving)
    yield Case(
        "nobody there",
        ["--server", "localhost:1", "--timeout", "2", first],
        in_time(failed_any, 15),
    )
    nowhere = ["--server", "no-such-host.invalid:50051", "--timeout", "2"]
    yield Case("no such host", [*nowhere, first], in_time(failed_any, 15))
    tls = ["--server", servers.tls, "--tls-ca", servers.ca]
    own = ["--tls-cert", servers.client_cert, "--tls-key", servers.client_key]
    yield Case("TLS", [*tls, "--health"], serving)
    yield Case("TLS, other CA", ["--server", servers.tls, "--timeout", "2", "--tls-ca", servers.other_ca, first], failed_any)
    mutual = ["--server", servers.mutual, "--tls-ca", servers.ca]
    yield Case("mTLS", [*mutual, *own, first], found(upstream, first))
    yield Case("mTLS, no cert", [*mutual, "--timeout", "2", first], failed_any)
    yield Case("no such file", [*plain, "--tls-ca", "/no/such/file", first], usage)


def bad_id(ran):
    refused(4, "INVALID_ARGUMENT", "INVALID_CALL_ID")(ran)
    (violation,) = ran.json()["fieldViolations"]
    equal(violation["field"], "call_id")
    assert ran.json()["requestId"], "no request id"


def failed_any(ran):
    """No connection: libraries that go on trying until the deadline say that it has passed."""
    assert ran.status in (6, 7), f"{ran.status}: {ran.stderr}"
    expected = {6: "UNAVAILABLE", 7: "DEADLINE_EXCEEDED"}[ran.status]
    equal(ran.json()["code"], expected)
    one_line(ran)
