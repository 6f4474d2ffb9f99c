package com.example.videoconf;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.Durations;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A failed call. Retries are over by the time it is thrown. */
public final class VideoConferenceException extends RuntimeException {
  private static final long serialVersionUID = 1;

  // ErrorInfo's string, the enum's name without its prefix.
  private static final String NOT_FOUND = "CALL_NOT_FOUND_OR_NOT_VISIBLE";

  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

  /** What is wrong about a field of the request. */
  public record FieldViolation(String field, String description) {}

  private final Status.Code code;
  private String reason = "";
  private transient Map<String, String> metadata = Map.of();
  private Duration retryDelay;
  private final transient List<FieldViolation> fieldViolations = new ArrayList<>();
  private String requestId = "";

  public VideoConferenceException(Status.Code code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  /** The headers are those that came before the trailers, which are in the exception; or null. */
  static VideoConferenceException of(StatusRuntimeException failed, Metadata headers) {
    VideoConferenceException e =
        new VideoConferenceException(
            failed.getStatus().getCode(), messageOf(failed.getStatus()), failed);
    // An answer without a message has its headers and trailers in one.
    for (Metadata metadata : new Metadata[] {headers, failed.getTrailers()}) {
      if (metadata != null && metadata.containsKey(REQUEST_ID)) {
        e.requestId = metadata.get(REQUEST_ID);
      }
    }
    try {
      e.take(StatusProto.fromThrowable(failed).getDetailsList());
    } catch (InvalidProtocolBufferException | RuntimeException notOfThisFormat) {
      // The code and the message are there all the same.
    }
    return e;
  }

  /** grpc-java keeps what went wrong with a connection out of the description. */
  private static String messageOf(Status status) {
    String message = status.getDescription() == null ? "" : status.getDescription();
    for (Throwable t = status.getCause(); t != null; t = t.getCause()) {
      if (t.getMessage() != null && !message.contains(t.getMessage())) {
        message += (message.isEmpty() ? "" : ": ") + t.getMessage();
      }
    }
    return message;
  }

  private void take(List<Any> details) throws InvalidProtocolBufferException {
    for (Any detail : details) {
      if (detail.is(ErrorInfo.class)) {
        ErrorInfo info = detail.unpack(ErrorInfo.class);
        reason = info.getReason();
        metadata = info.getMetadataMap();
      } else if (detail.is(RetryInfo.class)) {
        long nanos = Durations.toNanos(detail.unpack(RetryInfo.class).getRetryDelay());
        retryDelay = Duration.ofNanos(nanos);
      } else if (detail.is(BadRequest.class)) {
        for (BadRequest.FieldViolation v :
            detail.unpack(BadRequest.class).getFieldViolationsList()) {
          fieldViolations.add(new FieldViolation(v.getField(), v.getDescription()));
        }
      }
    }
  }

  public Status.Code code() {
    return code;
  }

  /** ErrorInfo's, and empty for what gRPC itself reports. New ones may come. */
  public String reason() {
    return reason;
  }

  /** ErrorInfo's. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** When to try again; null if the facade didn't say. */
  public Duration retryDelay() {
    return retryDelay;
  }

  public List<FieldViolation> fieldViolations() {
    return List.copyOf(fieldViolations);
  }

  /** What the facade's log knows the call by; empty if no answer came. */
  public String requestId() {
    return requestId;
  }

  /** No such call, or not visible to this user; Rocket.Chat doesn't say which. */
  public boolean isCallNotFound() {
    return code == Status.Code.NOT_FOUND
        || code == Status.Code.INVALID_ARGUMENT && reason.equals(NOT_FOUND);
  }

  /** The request is wrong: to ask again is no use. */
  public boolean isBadRequest() {
    return code == Status.Code.INVALID_ARGUMENT && !isCallNotFound();
  }

  /** The user must log in again, or may not. */
  public boolean isBadCredentials() {
    return code == Status.Code.UNAUTHENTICATED || code == Status.Code.PERMISSION_DENIED;
  }

  /** The same call may succeed later, after {@link #retryDelay} if there is one. */
  public boolean isTryLater() {
    return code == Status.Code.UNAVAILABLE || code == Status.Code.RESOURCE_EXHAUSTED;
  }

  /** No answer came in time. */
  public boolean isDeadlineExceeded() {
    return code == Status.Code.DEADLINE_EXCEEDED;
  }

  /** The message with all that a log should have. */
  public String describe() {
    List<String> about = new ArrayList<>(List.of(code.name()));
    if (!reason.isEmpty() && !reason.equals(code.name())) {
      about.add(reason);
    }
    if (retryDelay != null) {
      about.add("try again in " + retryDelay.toMillis() / 1000.0 + " s");
    }
    if (!requestId.isEmpty()) {
      about.add("request " + requestId);
    }
    return getMessage() + " (" + String.join(", ", about) + ")";
  }
}
