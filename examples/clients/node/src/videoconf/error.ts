import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack, durationMs } from '@bufbuild/protobuf/wkt';
import { status, type Metadata, type ServiceError } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../gen/google/rpc/error_details_pb.js';
import { StatusSchema } from '../gen/google/rpc/status_pb.js';

// ErrorInfo's string, the enum's name without its prefix.
const NOT_FOUND = 'CALL_NOT_FOUND_OR_NOT_VISIBLE';

/** What is wrong about a field of the request. */
export interface FieldViolation {
  field: string;
  description: string;
}

/** A failed call. Retries are over by the time it is seen. */
export class VideoConferenceError extends Error {
  override readonly name = 'VideoConferenceError';
  readonly code: status;
  /** ErrorInfo's, and empty for what gRPC itself reports. New ones may come. */
  reason = '';
  metadata: Record<string, string> = {};
  /** When to try again; undefined if the facade didn't say. */
  retryDelayMs: number | undefined;
  fieldViolations: FieldViolation[] = [];
  /** What the facade's log knows the call by; empty if no answer came. */
  requestId = '';

  constructor(code: status, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** `headers` are those that came before the trailers, which grpc-js has in the error. */
  static of(failed: ServiceError, headers: Metadata): VideoConferenceError {
    const error = new VideoConferenceError(failed.code, failed.details, { cause: failed });
    // An answer without a message has its headers and trailers in one.
    for (const metadata of [headers, failed.metadata]) {
      error.requestId = String(metadata.get('x-request-id')[0] ?? error.requestId);
    }
    const [details] = failed.metadata.get('grpc-status-details-bin');
    if (Buffer.isBuffer(details)) {
      error.#take(details);
    }
    return error;
  }

  #take(bytes: Buffer): void {
    try {
      for (const detail of fromBinary(StatusSchema, bytes).details) {
        const info = anyUnpack(detail, ErrorInfoSchema);
        if (info) {
          this.reason = info.reason;
          this.metadata = info.metadata;
        }
        const retry = anyUnpack(detail, RetryInfoSchema);
        if (retry?.retryDelay) {
          this.retryDelayMs = Math.round(durationMs(retry.retryDelay));
        }
        for (const { field, description } of anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? []) {
          this.fieldViolations.push({ field, description });
        }
      }
    } catch {
      // Not of this format: the code and the message are there all the same.
    }
  }

  /** No such call, or not visible to this user; Rocket.Chat doesn't say which. */
  get callNotFound(): boolean {
    return this.code === status.NOT_FOUND || (this.code === status.INVALID_ARGUMENT && this.reason === NOT_FOUND);
  }

  /** The request is wrong: to ask again is no use. */
  get badRequest(): boolean {
    return this.code === status.INVALID_ARGUMENT && !this.callNotFound;
  }

  /** The user must log in again, or may not. */
  get badCredentials(): boolean {
    return this.code === status.UNAUTHENTICATED || this.code === status.PERMISSION_DENIED;
  }

  /** The same call may succeed later, after `retryDelayMs` if there is one. */
  get tryLater(): boolean {
    return this.code === status.UNAVAILABLE || this.code === status.RESOURCE_EXHAUSTED;
  }

  /** No answer came in time. */
  get deadlineExceeded(): boolean {
    return this.code === status.DEADLINE_EXCEEDED;
  }

  /** The code as gRPC writes it, or its number. */
  get codeName(): string {
    return status[this.code] ?? String(this.code);
  }

  override toString(): string {
    const about = [this.codeName];
    if (this.reason && this.reason !== this.codeName) {
      about.push(this.reason);
    }
    if (this.retryDelayMs !== undefined) {
      about.push(`try again in ${this.retryDelayMs / 1000} s`);
    }
    if (this.requestId) {
      about.push(`request ${this.requestId}`);
    }
    return `${this.message} (${about.join(', ')})`;
  }
}
