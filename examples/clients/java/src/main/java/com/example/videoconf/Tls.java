package com.example.videoconf;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.TlsChannelCredentials;
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;

/** TLS with authorities of one's own. */
public final class Tls {
  private Tls() {}

  /**
   * Trusts the authorities in {@code ca} and nobody else, and shows the certificate in {@code
   * cert}, if there is one. All are PEM files, the key in PKCS#8. Throws, naming the file, if one
   * can't be read or used.
   */
  public static ChannelCredentials fromFiles(String ca, String cert, String key)
      throws IOException {
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    ByteArrayInputStream roots = read(ca);
    checkAuthorities(roots, ca);
    builder.trustManager(roots);
    if (cert == null || key == null) {
      return builder.build();
    }
    ChannelCredentials credentials = builder.keyManager(read(cert), read(key)).build();
    checkOwn(credentials, cert + ", " + key);
    return credentials;
  }

  private static ByteArrayInputStream read(String file) throws IOException {
    // Not Files, whose exceptions have the name of the file alone for a message.
    try (FileInputStream in = new FileInputStream(file)) {
      return new ByteArrayInputStream(in.readAllBytes());
    }
  }

  // TlsChannelCredentials takes any bytes, and fails later without a word about the file.

  private static void checkAuthorities(ByteArrayInputStream pem, String file) throws IOException {
    try {
      if (CertificateFactory.getInstance("X.509").generateCertificates(pem).isEmpty()) {
        throw new IOException(file + ": no certificate in it");
      }
    } catch (CertificateException e) {
      throw new IOException(file + ": " + e.getMessage(), e);
    }
    pem.reset();
  }

  private static void checkOwn(ChannelCredentials credentials, String files) throws IOException {
    try {
      // The first to look at them.
      Grpc.newChannelBuilder("unused", credentials);
    } catch (RuntimeException e) {
      Throwable t = e.getCause() == null ? e : e.getCause();
      throw new IOException(files + ": " + t.getMessage(), e);
    }
  }
}
