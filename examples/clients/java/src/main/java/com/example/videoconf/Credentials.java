package com.example.videoconf;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import java.util.Map;
import java.util.concurrent.Executor;

/**
 * A Rocket.Chat user's own: the facade has none, so each call brings its caller's.
 *
 * <p>They belong to one call, not to the channel: then many users share a channel, and the health
 * checks on it go without. grpc-java takes call credentials without TLS, too, which a facade on the
 * same machine or behind a mesh's sidecar needs.
 */
public final class Credentials extends CallCredentials {
  private static final Metadata.Key<String> USER_ID =
      Metadata.Key.of("x-user-id", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> AUTH_TOKEN =
      Metadata.Key.of("x-auth-token", Metadata.ASCII_STRING_MARSHALLER);

  private final String userId;
  private final String authToken;

  /**
   * Throws IllegalArgumentException if no call could carry them. Whether Rocket.Chat takes them is
   * for the facade to say.
   */
  public Credentials(String userId, String authToken) {
    if (userId == null || userId.isEmpty() || authToken == null || authToken.isEmpty()) {
      throw new IllegalArgumentException("user id and auth token are both needed");
    }
    Map.of("user id", userId, "auth token", authToken)
        .forEach(
            (name, value) -> {
              // A newline, say, from a file: grpc-java would send something else in its place.
              if (!value.chars().allMatch(c -> ' ' <= c && c <= '~')) {
                throw new IllegalArgumentException(
                    "the " + name + " has a byte outside printable ASCII");
              }
            });
    this.userId = userId;
    this.authToken = authToken;
  }

  @Override
  public void applyRequestMetadata(
      RequestInfo requestInfo, Executor executor, MetadataApplier applier) {
    // To refuse to send a token in the clear, look at requestInfo.getSecurityLevel() here.
    Metadata metadata = new Metadata();
    metadata.put(USER_ID, userId);
    metadata.put(AUTH_TOKEN, authToken);
    applier.apply(metadata);
  }

  /** Keeps the token out of logs. */
  @Override
  public String toString() {
    return "user " + userId;
  }
}
