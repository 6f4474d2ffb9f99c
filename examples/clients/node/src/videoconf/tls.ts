import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';

/**
 * Trusts the authorities in `ca` and nobody else, and shows the certificate in `cert`, if there is
 * one. All are PEM files. Throws, naming the file, if one can't be read or used.
 */
export function tlsFromFiles(ca: string, cert?: string, key?: string): ChannelCredentials {
  const roots = readFileSync(ca);
  // Node takes any bytes, and fails later without a word about the file.
  naming(ca, () => new X509Certificate(roots));
  if (cert === undefined || key === undefined) {
    return credentials.createSsl(roots);
  }
  const own = { cert: readFileSync(cert), key: readFileSync(key) };
  naming(`${cert}, ${key}`, () => createSecureContext(own));
  return credentials.createSsl(roots, own.key, own.cert);
}

function naming(files: string, use: () => unknown): void {
  try {
    use();
  } catch (e) {
    throw new Error(`${files}: ${e instanceof Error ? e.message : e}`, { cause: e });
  }
}
