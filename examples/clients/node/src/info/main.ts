#!/usr/bin/env node
/** Asks a videoconf-facade for a conference and tells what it heard. */
import { toJsonString } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus, HealthCheckResponseSchema } from '../gen/grpc/health/v1/health_pb.js';
import { GetInfoResponseSchema } from '../gen/rocketchat/videoconference/v1/video_conference_service_pb.js';
import { Credentials, tlsFromFiles, VideoConferenceClient, VideoConferenceError } from '../videoconf/index.js';
import { HELP, parse, UsageError, type Arguments } from './arguments.js';
import { describe } from './describe.js';
import { fail } from './failure.js';

// For a target that is an IP address grpc-js sends that as TLS's server name, of which Node warns in
// two lines more on stderr.
process.noDeprecation = true;

const args = process.argv.slice(2);
// A full disk, or a reader that has gone, is told of here and not by write.
process.stdout.on('error', (e) => {
  process.exitCode ||= fail(e, false);
});
try {
  process.stdout.write(await run(parse(args)));
} catch (e) {
  // Not process.exit, which may lose what is still to be written.
  process.exitCode = fail(e, args.includes('--json'));
}

async function run(a: Arguments): Promise<string> {
  if (a.help) {
    return HELP + '\n';
  }
  const client = connect(a);
  try {
    return a.health ? await health(client, a) : await info(client, a);
  } finally {
    client.close();
  }
}

function connect(a: Arguments): VideoConferenceClient {
  const tls = ofUser('', () => (a.tlsCa ? tlsFromFiles(a.tlsCa, a.tlsCert, a.tlsKey) : undefined));
  const { VIDEOCONF_USER_ID: userId = '', VIDEOCONF_AUTH_TOKEN: authToken = '' } = process.env;
  const credentials = a.health
    ? undefined
    : ofUser('VIDEOCONF_USER_ID, VIDEOCONF_AUTH_TOKEN: ', () => new Credentials(userId, authToken));
  return ofUser(
    `--server ${a.server}: `,
    () => new VideoConferenceClient({ target: a.server, authority: a.authority, tls, credentials }),
  );
}

async function info(client: VideoConferenceClient, a: Arguments): Promise<string> {
  const response = await client.getInfo(a.callId, { timeoutMs: a.timeoutMs, maxAgeMs: a.maxAgeMs });
  return a.json
    ? toJsonString(GetInfoResponseSchema, response, { prettySpaces: 2 }) + '\n'
    : describe(response, Date.now());
}

async function health(client: VideoConferenceClient, a: Arguments): Promise<string> {
  const response = await client.health({ timeoutMs: a.timeoutMs });
  const name = HealthCheckResponse_ServingStatus[response.status] ?? String(response.status);
  if (response.status !== HealthCheckResponse_ServingStatus.SERVING) {
    throw new VideoConferenceError(status.UNAVAILABLE, `the service is ${name}`);
  }
  return (a.json ? toJsonString(HealthCheckResponseSchema, response, { prettySpaces: 2 }) : name) + '\n';
}

/** What fails in `make` is the user's to mend. */
function ofUser<T>(about: string, make: () => T): T {
  try {
    return make();
  } catch (e) {
    throw new UsageError(about + (e instanceof Error ? e.message : String(e)), { cause: e });
  }
}
