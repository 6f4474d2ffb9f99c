package com.example.videoconf.info;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "info",
    customSynopsis = "info [flags] CALL_ID",
    sortOptions = false,
    description = "Asks a videoconf-facade for a conference and tells what it heard.",
    footer = "%nCredentials come from VIDEOCONF_USER_ID and VIDEOCONF_AUTH_TOKEN.")
final class Arguments {
  // One, or none with --health; more are told of in our own words.
  @Parameters(arity = "0..*", hidden = true)
  private List<String> callIds = new ArrayList<>();

  @Option(
      names = "--server",
      paramLabel = "TARGET",
      defaultValue = "localhost:50051",
      description = "where the facade listens, as a target of grpc-java (default localhost:50051)")
  String server;

  @Option(
      names = "--authority",
      paramLabel = "NAME",
      description = "the :authority to send, and the name that the certificate must be for")
  String authority;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "10",
      description = "the deadline of the call (default 10)")
  private double timeout;

  @Option(
      names = "--max-age",
      paramLabel = "SECONDS",
      description =
          "the oldest answer to accept; 0 is a read of its own (default the facade's choice)")
  private Double maxAge;

  @Option(
      names = "--tls-ca",
      paramLabel = "FILE",
      description = "speak TLS, and trust the authorities in this PEM file")
  String tlsCa;

  @Option(
      names = "--tls-cert",
      paramLabel = "FILE",
      description = "the client's own certificate, a PEM file")
  String tlsCert;

  @Option(names = "--tls-key", paramLabel = "FILE", description = "its key, a PEM file in PKCS#8")
  String tlsKey;

  @Option(names = "--health", description = "ask for the service's health in place of a call")
  boolean health;

  @Option(names = "--json", description = "print protobuf's JSON, and failures as JSON, too")
  boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "tell this")
  boolean help;

  static Arguments parse(String[] args) throws UsageException {
    Arguments a = new Arguments();
    try {
      // A CALL_ID may begin with @, which would be a file of arguments to picocli.
      new CommandLine(a).setExpandAtFiles(false).parseArgs(args);
    } catch (CommandLine.ParameterException e) {
      throw new UsageException(e.getMessage());
    }
    if (!a.help) {
      a.check();
    }
    return a;
  }

  private void check() throws UsageException {
    if (timeout().isNegative() || timeout().isZero()) {
      throw new UsageException("--timeout " + timeout + ": not a time to wait");
    }
    maxAge();
    if (tlsCa == null && (tlsCert != null || tlsKey != null)) {
      throw new UsageException("--tls-cert and --tls-key need --tls-ca");
    }
    if ((tlsCert == null) != (tlsKey == null)) {
      throw new UsageException("--tls-cert and --tls-key need each other");
    }
    if (callIds.size() > 1) {
      throw new UsageException("one CALL_ID, not " + callIds.size());
    }
    if (callIds.isEmpty() && !health) {
      throw new UsageException("CALL_ID is missing; --help tells more");
    }
  }

  String callId() {
    return callIds.get(0);
  }

  Duration timeout() throws UsageException {
    return seconds("--timeout", timeout);
  }

  /** Null if it is the facade's choice. A negative one is the facade's to refuse. */
  Duration maxAge() throws UsageException {
    return maxAge == null ? null : seconds("--max-age", maxAge);
  }

  private static Duration seconds(String flag, double s) throws UsageException {
    // Written so that NaN is refused, too.
    if (!(Math.abs(s) < Long.MAX_VALUE / 1e9)) {
      throw new UsageException(flag + " " + s + ": not a number of seconds that fits");
    }
    return Duration.ofNanos((long) (s * 1e9));
  }
}
