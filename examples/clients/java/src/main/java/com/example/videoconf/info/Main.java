package com.example.videoconf.info;

import com.example.videoconf.Credentials;
import com.example.videoconf.Options;
import com.example.videoconf.Tls;
import com.example.videoconf.VideoConferenceClient;
import com.example.videoconf.VideoConferenceException;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import io.grpc.ChannelCredentials;
import io.grpc.Status;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.logging.Level;
import java.util.logging.Logger;
import picocli.CommandLine;
import rocketchat.videoconference.v1.GetInfoResponse;

/** Asks a videoconf-facade for a conference and tells what it heard. */
public final class Main {
  // grpc-java logs to stderr what it also throws. Kept here, since a logger that nobody holds
  // forgets its level.
  private static final Logger GRPC = Logger.getLogger("io.grpc");

  private Main() {}

  public static void main(String[] args) {
    GRPC.setLevel(Level.OFF);
    // JSON is UTF-8, whatever the locale.
    PrintStream out = utf8(FileDescriptor.out);
    PrintStream err = utf8(FileDescriptor.err);
    int status = 0;
    try {
      out.print(run(Arguments.parse(args)));
    } catch (Exception e) {
      status = Failure.tell(e, List.of(args).contains("--json"), out, err);
    }
    // A full disk, or a reader that has gone: a PrintStream throws nothing.
    if (out.checkError() && status == 0) {
      status = Failure.tell(new IOException("can't write to stdout"), false, out, err);
    }
    System.exit(status);
  }

  private static PrintStream utf8(FileDescriptor to) {
    return new PrintStream(new FileOutputStream(to), true, StandardCharsets.UTF_8);
  }

  private static String run(Arguments a) throws UsageException, InvalidProtocolBufferException {
    if (a.help) {
      return new CommandLine(a).getUsageMessage();
    }
    try (VideoConferenceClient client = connect(a)) {
      return a.health ? health(client, a) : info(client, a);
    }
  }

  private static VideoConferenceClient connect(Arguments a) throws UsageException {
    ChannelCredentials tls = null;
    Credentials credentials = null;
    try {
      if (a.tlsCa != null) {
        tls = Tls.fromFiles(a.tlsCa, a.tlsCert, a.tlsKey);
      }
    } catch (IOException e) {
      throw new UsageException(e.getMessage());
    }
    try {
      if (!a.health) {
        credentials =
            new Credentials(
                System.getenv("VIDEOCONF_USER_ID"), System.getenv("VIDEOCONF_AUTH_TOKEN"));
      }
    } catch (IllegalArgumentException e) {
      throw new UsageException("VIDEOCONF_USER_ID, VIDEOCONF_AUTH_TOKEN: " + e.getMessage());
    }
    try {
      return VideoConferenceClient.create(new Options(a.server, a.authority, tls, credentials));
    } catch (RuntimeException e) {
      throw new UsageException("--server " + a.server + ": " + e.getMessage());
    }
  }

  private static String info(VideoConferenceClient client, Arguments a)
      throws UsageException, InvalidProtocolBufferException {
    GetInfoResponse response = client.getInfo(a.callId(), a.maxAge(), a.timeout());
    return a.json ? json(response) : Describe.response(response, Instant.now());
  }

  private static String health(VideoConferenceClient client, Arguments a)
      throws UsageException, InvalidProtocolBufferException {
    HealthCheckResponse response = client.health(a.timeout());
    if (response.getStatus() != ServingStatus.SERVING) {
      // getStatusValue, since a status that this client doesn't know has no name.
      String name =
          response.getStatus() == ServingStatus.UNRECOGNIZED
              ? String.valueOf(response.getStatusValue())
              : response.getStatus().name();
      throw new VideoConferenceException(
          Status.Code.UNAVAILABLE, "the service is " + name, null);
    }
    return a.json ? json(response) : response.getStatus() + "\n";
  }

  private static String json(MessageOrBuilder message) throws InvalidProtocolBufferException {
    return JsonFormat.printer().print(message) + "\n";
  }
}
