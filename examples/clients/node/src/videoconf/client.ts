import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodUnary,
  type MessageShape,
} from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  Client,
  credentials,
  Metadata,
  type CallOptions,
  type ChannelCredentials,
  type ClientOptions,
} from '@grpc/grpc-js';
import { Health, HealthCheckRequestSchema, type HealthCheckResponse } from '../gen/grpc/health/v1/health_pb.js';
import {
  GetInfoRequestSchema,
  VideoConferenceService,
  type GetInfoResponse,
} from '../gen/rocketchat/videoconference/v1/video_conference_service_pb.js';
import type { Credentials } from './credentials.js';
import { VideoConferenceError } from './error.js';
// Retries and round robin; a copy of proto/service_config.json.
import serviceConfig from './service_config.json' with { type: 'json' };

/** As long as the facade itself takes for an attempt, at most. More leaves time to try again. */
export const DEFAULT_TIMEOUT_MS = 10_000;

export interface Options {
  /**
   * As grpc-js knows it: `host:port` (all addresses of the name),
   * `ipv4:10.0.0.1:50051,10.0.0.2:50051`, or `unix:/run/proxy.sock` of a proxy, since the facade
   * listens on TCP only.
   */
  target: string;
  /**
   * The `:authority` to send, and the name that the certificate must be for. Without it, grpc-js
   * takes it from the target.
   */
  authority?: string | undefined;
  /** TLS is spoken if this is set; see tlsFromFiles. */
  tls?: ChannelCredentials | undefined;
  /** Of the calls that bring none of their own. */
  credentials?: Credentials | undefined;
}

export interface CallSettings {
  /** Bounds the call with all of its retries. */
  timeoutMs?: number | undefined;
  /** Another user's, on the same channel. */
  credentials?: Credentials | undefined;
}

export interface GetInfoSettings extends CallSettings {
  /** The oldest answer to accept: zero is a read of its own, undefined leaves it to the facade. */
  maxAgeMs?: number | undefined;
}

/** Calls a facade. One for a process is enough; it connects with the first call. */
export class VideoConferenceClient {
  readonly #client: Client;
  readonly #credentials: Credentials | undefined;

  /** Throws if grpc-js can't make anything of the target. */
  constructor(options: Options) {
    this.#client = new Client(options.target, options.tls ?? credentials.createInsecure(), channelOptions(options));
    this.#credentials = options.credentials;
  }

  /** Asks for a conference. Rejects with a VideoConferenceError. */
  getInfo(callId: string, settings: GetInfoSettings = {}): Promise<GetInfoResponse> {
    const request = create(GetInfoRequestSchema, { callId });
    if (settings.maxAgeMs !== undefined) {
      request.maxAge = durationFromMs(settings.maxAgeMs);
    }
    return this.#call(VideoConferenceService.method.getInfo, request, {
      ...settings,
      credentials: settings.credentials ?? this.#credentials,
    });
  }

  /** Asks whether the facade serves; needs no credentials. Rejects with a VideoConferenceError. */
  health(settings: CallSettings = {}): Promise<HealthCheckResponse> {
    const request = create(HealthCheckRequestSchema, { service: VideoConferenceService.typeName });
    return this.#call(Health.method.check, request, settings);
  }

  /** Ends the connections, and all that would keep the process alive. */
  close(): void {
    this.#client.close();
  }

  /** protobuf-es has messages and descriptors, grpc-js the transport; this is all that is between. */
  #call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageShape<I>,
    settings: CallSettings,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      const options: CallOptions = { deadline: Date.now() + (settings.timeoutMs ?? DEFAULT_TIMEOUT_MS) };
      if (settings.credentials) {
        options.credentials = settings.credentials.perCall();
      }
      let headers = new Metadata();
      this.#client
        .makeUnaryRequest(
          `/${method.parent.typeName}/${method.name}`,
          (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
          (bytes: Buffer) => fromBinary(method.output, bytes),
          request,
          new Metadata(),
          options,
          (failed, response) => {
            if (failed) {
              reject(VideoConferenceError.of(failed, headers));
            } else {
              resolve(response!);
            }
          },
        )
        .on('metadata', (received: Metadata) => {
          headers = received;
        });
    });
  }
}

function channelOptions(options: Options): ClientOptions {
  const found: ClientOptions = {
    'grpc.service_config': JSON.stringify(serviceConfig),
    // Finds out within 80 s that a peer has vanished without a word, which TCP takes a quarter of
    // an hour for. The facade answers any ping, but what stands between may count them as abuse:
    // hence not more often, and only while a call is under way.
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.keepalive_permit_without_calls': 0,
  };
  if (options.authority) {
    found['grpc.default_authority'] = options.authority;
    // Other gRPC libraries check the certificate against the authority; grpc-js needs to be told.
    found['grpc.ssl_target_name_override'] = options.authority.replace(/:\d+$/, '');
  }
  return found;
}
