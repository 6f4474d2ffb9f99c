package com.example.videoconf;

import com.google.gson.Gson;
import com.google.protobuf.util.Durations;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import rocketchat.videoconference.v1.GetInfoRequest;
import rocketchat.videoconference.v1.GetInfoResponse;
import rocketchat.videoconference.v1.VideoConferenceServiceGrpc;

/** Calls a facade. Threads may share it; one for a process is enough. */
public final class VideoConferenceClient implements AutoCloseable {
  /** As long as the facade itself takes for an attempt, at most. More leaves time to try again. */
  public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(10);

  private final ManagedChannel channel;
  private final CallCredentials credentials;

  private VideoConferenceClient(ManagedChannel channel, CallCredentials credentials) {
    this.channel = channel;
    this.credentials = credentials;
  }

  /**
   * Makes a client, which connects with the first call. Throws IllegalArgumentException if
   * grpc-java can't make anything of the options.
   */
  public static VideoConferenceClient create(Options options) {
    ChannelCredentials transport =
        options.tls() != null ? options.tls() : InsecureChannelCredentials.create();
    ManagedChannelBuilder<?> builder =
        Grpc.newChannelBuilder(options.target(), transport)
            .defaultServiceConfig(serviceConfig())
            .enableRetry()
            // Finds out within 80 s that a peer has vanished without a word, which TCP takes a
            // quarter of an hour for. The facade answers any ping, but what stands between may
            // count them as abuse: hence not more often, and only while a call is under way.
            .keepAliveTime(1, TimeUnit.MINUTES)
            .keepAliveTimeout(20, TimeUnit.SECONDS)
            .keepAliveWithoutCalls(false);
    if (options.authority() != null) {
      builder.overrideAuthority(options.authority());
    }
    return new VideoConferenceClient(builder.build(), options.credentials());
  }

  /** Gives a client with another user's credentials on the same channel. */
  public VideoConferenceClient as(Credentials other) {
    return new VideoConferenceClient(channel, other);
  }

  /**
   * Asks for a conference.
   *
   * @param maxAge the oldest answer to accept: zero is a read of its own, null leaves it to the
   *     facade
   * @param timeout bounds the call with all of its retries
   * @throws VideoConferenceException if the call fails
   */
  public GetInfoResponse getInfo(String callId, Duration maxAge, Duration timeout) {
    GetInfoRequest.Builder request = GetInfoRequest.newBuilder().setCallId(callId);
    if (maxAge != null) {
      request.setMaxAge(Durations.fromNanos(maxAge.toNanos()));
    }
    return call(
        VideoConferenceServiceGrpc.newBlockingStub(channel).withCallCredentials(credentials),
        timeout,
        stub -> stub.getInfo(request.build()));
  }

  /**
   * Asks whether the facade serves; needs no credentials.
   *
   * @throws VideoConferenceException if the call fails
   */
  public HealthCheckResponse health(Duration timeout) {
    HealthCheckRequest request =
        HealthCheckRequest.newBuilder().setService(VideoConferenceServiceGrpc.SERVICE_NAME).build();
    return call(HealthGrpc.newBlockingStub(channel), timeout, stub -> stub.check(request));
  }

  /** Ends the channel, for all that {@link #as} gave, too. */
  @Override
  public void close() {
    channel.shutdownNow();
  }

  /** The deadline is a point in time, so it is set for a call and never for a stub that is kept. */
  private static <S extends AbstractStub<S>, R> R call(
      S stub, Duration timeout, Function<S, R> method) {
    AtomicReference<Metadata> headers = new AtomicReference<>();
    try {
      return method.apply(
          stub.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS)
              // The trailers are in the exception, too; the headers are nowhere else.
              .withInterceptors(
                  MetadataUtils.newCaptureMetadataInterceptor(headers, new AtomicReference<>())));
    } catch (StatusRuntimeException e) {
      throw VideoConferenceException.of(e, headers.get());
    }
  }

  /** Retries, round robin and health checks; a copy of proto/service_config.json. */
  private static Map<String, ?> serviceConfig() {
    try (InputStream in = VideoConferenceClient.class.getResourceAsStream("service_config.json")) {
      if (in == null) {
        throw new IllegalStateException(
            "no service_config.json on the class path beside "
                + VideoConferenceClient.class.getName());
      }
      // A Map as grpc-java wants it: Gson makes Lists of arrays, and Doubles of numbers.
      @SuppressWarnings("unchecked")
      Map<String, ?> config =
          new Gson().fromJson(new InputStreamReader(in, StandardCharsets.UTF_8), Map.class);
      return config;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
