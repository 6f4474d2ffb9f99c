package com.example.videoconf.info;

import com.example.videoconf.VideoConferenceException;
import com.google.gson.GsonBuilder;
import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Map;

/** Tells of failures. */
final class Failure {
  private Failure() {}

  /** Tells what went wrong and returns the exit status. */
  static int tell(Exception failed, boolean asJson, PrintStream out, PrintStream err) {
    String message = failed.getMessage() == null ? failed.toString() : failed.getMessage();
    boolean ofCall = failed instanceof VideoConferenceException;
    err.println(
        "info: " + oneLine(ofCall ? ((VideoConferenceException) failed).describe() : message));
    if (asJson) {
      Map<String, Object> object =
          ofCall ? json((VideoConferenceException) failed) : Map.of("message", message);
      out.println(
          new GsonBuilder().disableHtmlEscaping().setPrettyPrinting().create().toJson(object));
    }
    return status(failed);
  }

  private static int status(Exception failed) {
    if (failed instanceof UsageException) {
      return 2;
    }
    if (!(failed instanceof VideoConferenceException e)) {
      return 1;
    }
    if (e.isCallNotFound()) {
      return 3;
    }
    if (e.isBadRequest()) {
      return 4;
    }
    if (e.isBadCredentials()) {
      return 5;
    }
    if (e.isTryLater()) {
      return 6;
    }
    return e.isDeadlineExceeded() ? 7 : 1;
  }

  /** What isn't there is left out. */
  private static Map<String, Object> json(VideoConferenceException e) {
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("code", e.code().name());
    object.put("message", e.getMessage());
    if (!e.reason().isEmpty()) {
      object.put("reason", e.reason());
    }
    if (!e.metadata().isEmpty()) {
      object.put("metadata", e.metadata());
    }
    if (e.retryDelay() != null) {
      object.put("retryDelayMs", e.retryDelay().toMillis());
    }
    if (!e.fieldViolations().isEmpty()) {
      object.put("fieldViolations", e.fieldViolations());
    }
    if (!e.requestId().isEmpty()) {
      object.put("requestId", e.requestId());
    }
    return object;
  }

  /**
   * Keeps newlines and a terminal's control codes, which may be in a title or in a message of
   * Rocket.Chat's, from the terminal.
   */
  static String oneLine(String text) {
    return text.replaceAll("[\\x00-\\x1f\\x7f-\\x9f]", " ");
  }
}
