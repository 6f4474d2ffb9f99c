import { inspect } from 'node:util';
import { credentials, Metadata, type CallCredentials } from '@grpc/grpc-js';

/** A Rocket.Chat user's own: the facade has none, so each call brings its caller's. */
export class Credentials {
  readonly userId: string;
  // Private to the language, so that no log and no JSON shows it.
  readonly #authToken: string;

  /** Throws if no call could carry them. Whether Rocket.Chat takes them is for the facade to say. */
  constructor(userId: string, authToken: string) {
    if (!userId || !authToken) {
      throw new Error('user id and auth token are both needed');
    }
    for (const [name, value] of [['user id', userId], ['auth token', authToken]] as const) {
      // A newline, say, from a file: the call would fail without a word about it.
      if (!/^[ -~]+$/.test(value)) {
        throw new Error(`the ${name} has a byte outside printable ASCII`);
      }
    }
    this.userId = userId;
    this.#authToken = authToken;
  }

  /**
   * For one call, not for the channel: then many users share a channel. grpc-js, unlike other gRPC
   * libraries, takes call credentials without TLS, too, which a facade on the same machine or
   * behind a mesh's sidecar needs; only to compose them with an insecure channel's is refused.
   */
  perCall(): CallCredentials {
    return credentials.createFromMetadataGenerator((_, callback) => {
      const metadata = new Metadata();
      metadata.set('x-user-id', this.userId);
      metadata.set('x-auth-token', this.#authToken);
      callback(null, metadata);
    });
  }

  toString(): string {
    return `user ${this.userId}`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
