package com.example.videoconf;

import io.grpc.ChannelCredentials;

/**
 * Says where a facade is and who asks. All but the target may be null.
 *
 * @param target as grpc-java knows it: {@code host:port} (all addresses of the name), or {@code
 *     unix:/run/proxy.sock} of a proxy, since the facade listens on TCP only
 * @param authority the {@code :authority} to send, and the name that the certificate must be for;
 *     without it, grpc-java takes it from the target
 * @param tls spoken if it is set; see {@link Tls#fromFiles}
 * @param credentials of the calls; see {@link VideoConferenceClient#as}
 */
public record Options(
    String target, String authority, ChannelCredentials tls, Credentials credentials) {
  /** Plain HTTP/2. */
  public Options(String target, Credentials credentials) {
    this(target, null, null, credentials);
  }
}
