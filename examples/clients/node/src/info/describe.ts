import type { DescEnum, DescMessage, JsonObject } from '@bufbuild/protobuf';
import { timestampDate, timestampMs, type Timestamp } from '@bufbuild/protobuf/wkt';
import {
  LeftReasonSchema,
  VideoConferenceSchema,
  VideoConferenceStatusSchema,
  VideoConferenceTypeSchema,
  type GetInfoResponse,
  type User,
  type VideoConferenceUser,
} from '../gen/rocketchat/videoconference/v1/video_conference_service_pb.js';
import { oneLine } from './failure.js';

/**
 * Tells of a conference in a few lines. `url` isn't among them, since it may let anybody in who sees
 * it.
 */
export function describe(response: GetInfoResponse, nowMs: number): string {
  const lines: string[] = [];
  const line = (label: string, text: string) => lines.push(`${label.padEnd(8)} ${oneLine(text)}\n`);
  const conference = response.videoConference;
  if (conference) {
    line('call', conference.title || words(VideoConferenceTypeSchema, conference.type));
    // Some providers set endedAt without a change of status.
    const over = conference.endedAt ? `, over since ${at(conference.endedAt)}` : '';
    line('status', words(VideoConferenceStatusSchema, conference.status) + over);
    for (const user of conference.users) {
      line('with', person(user) + presence(user));
    }
    if (conference.anonymousUsers) {
      line('with', `${conference.anonymousUsers} without an account`);
    }
    if (conference.createdAt) {
      const by = conference.createdBy ? ` by ${person(conference.createdBy)}` : '';
      line('created', at(conference.createdAt) + by);
    }
  }
  if (response.readAt) {
    // By two clocks, the facade's and ours, which may differ.
    const age = Math.max(0, nowMs - timestampMs(response.readAt));
    line('read', `${(age / 1000).toFixed(1)} s ago`);
  }
  if (conference) {
    additional(VideoConferenceSchema, conference).forEach((text) => line('also', text));
  }
  return lines.join('');
}

/**
 * Makes "started" of VIDEO_CONFERENCE_STATUS_STARTED, and 9 of a value that is newer than this
 * client's proto.
 */
function words(schema: DescEnum, number: number): string {
  if (number === 0) {
    return 'unknown'; // Absent, or not known to the facade: then it is an "also".
  }
  const value = schema.value[number];
  // protoc-gen-es has cut off what the names of an enum have in common.
  return value ? value.localName.toLowerCase().replaceAll('_', ' ') : String(number);
}

function person(user: User | VideoConferenceUser): string {
  if (user.name && user.username) {
    return `${user.name} (${user.username})`;
  }
  return user.name || user.username || user.id;
}

/** Told by Rocket.Chat 8.9 and later; before, who is listed joined. */
function presence(user: VideoConferenceUser): string {
  if (user.leftAt) {
    return `, left ${at(user.leftAt)}` + (user.leftReason ? `: ${words(LeftReasonSchema, user.leftReason)}` : '');
  }
  if (user.declined) {
    return ', declined';
  }
  return user.joined === false ? ', not joined' : '';
}

function at(timestamp: Timestamp): string {
  return timestampDate(timestamp).toISOString().replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

/**
 * Finds what stands in `additional_fields` of a message and of those within: what the proto doesn't
 * know, or what doesn't fit it.
 */
function additional(schema: DescMessage, message: object, path = ''): string[] {
  return schema.fields.flatMap((field) => {
    const value: unknown = (message as Record<string, unknown>)[field.localName];
    if (value === undefined) {
      return [];
    }
    if (field.fieldKind === 'list' && field.listKind === 'message') {
      return (value as object[]).flatMap((item, i) =>
        additional(field.message, item, `${path}${field.jsonName}[${i}].`),
      );
    }
    if (field.fieldKind !== 'message') {
      return [];
    }
    if (field.message.typeName === 'google.protobuf.Struct') {
      // protobuf-es has a Struct as a plain object.
      const members = Object.entries(value as JsonObject);
      return members.map(([key, member]) => `${path}${key}: ${JSON.stringify(member)}`).sort();
    }
    return additional(field.message, value as object, `${path}${field.jsonName}.`);
  });
}
