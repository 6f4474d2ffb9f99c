// grpc-js: asks for COUNT calls at once, and prints what became of each.
// Usage: callers.mjs FOLDER-WITH-GRPC-JS TARGET COUNT
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [folder, target, count] = process.argv.slice(2);
const grpc = createRequire(`${folder}/package.json`)('@grpc/grpc-js');

const client = new grpc.Client(target, grpc.credentials.createInsecure(), {
  'grpc.service_config': readFileSync(process.env.SERVICE_CONFIG, 'utf8'),
});

// A GetInfoRequest with a call_id of less than 128 bytes.
const request = (callId) => Buffer.concat([Buffer.from([10, callId.length]), Buffer.from(callId)]);

function ask(callId) {
  const metadata = new grpc.Metadata();
  metadata.set('x-user-id', 'user');
  metadata.set('x-auth-token', 'token');
  metadata.set('x-request-id', callId);
  const method = '/rocketchat.videoconference.v1.VideoConferenceService/GetInfo';
  const options = { deadline: Date.now() + 60_000 };
  return new Promise((resolve) => {
    client.makeUnaryRequest(method, request, (bytes) => bytes, callId, metadata, options, (failed) =>
      resolve(failed ? grpc.status[failed.code] : 'OK'),
    );
  });
}

const codes = {};
for (const code of await Promise.all(Array.from({ length: Number(count) }, (_, n) => ask(`call-${n}`)))) {
  codes[code] = (codes[code] ?? 0) + 1;
}
for (const [code, times] of Object.entries(codes)) {
  console.log(code, times);
}
client.close();
