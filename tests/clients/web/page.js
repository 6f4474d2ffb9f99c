// The page: a client of gRPC-Web, as Connect generates it, that the check asks for calls.
import { toJson } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { BadRequestSchema, ErrorInfoSchema } from './gen/google/rpc/error_details_pb.js';
import { Health } from './gen/grpc/health/v1/health_pb.js';
import {
  GetInfoResponseSchema,
  VideoConferenceService,
} from './gen/rocketchat/videoconference/v1/video_conference_service_pb.js';

function transport(baseUrl) {
  return createGrpcWebTransport({ baseUrl });
}

/** An answer as JSON, or what was refused and why. */
window.getInfo = async (baseUrl, callId, { userId, authToken } = {}) => {
  const client = createClient(VideoConferenceService, transport(baseUrl));
  const headers = userId ? { 'x-user-id': userId, 'x-auth-token': authToken } : {};
  try {
    const response = await client.getInfo({ callId }, { headers });
    return { answer: toJson(GetInfoResponseSchema, response) };
  } catch (e) {
    const failed = ConnectError.from(e);
    const [info] = failed.findDetails(ErrorInfoSchema);
    const [request] = failed.findDetails(BadRequestSchema);
    return {
      code: Code[failed.code],
      message: failed.rawMessage,
      reason: info?.reason,
      field: request?.fieldViolations[0]?.field,
      requestId: failed.metadata.get('x-request-id'),
    };
  }
};

window.health = async (baseUrl) => {
  const { status } = await createClient(Health, transport(baseUrl)).check({});
  return status;
};
