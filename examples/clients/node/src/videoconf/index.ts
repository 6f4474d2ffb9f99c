/** Asks a videoconf-facade for Rocket.Chat's video conferences. */
export { DEFAULT_TIMEOUT_MS, VideoConferenceClient } from './client.js';
export type { CallSettings, GetInfoSettings, Options } from './client.js';
export { Credentials } from './credentials.js';
export { VideoConferenceError } from './error.js';
export type { FieldViolation } from './error.js';
export { tlsFromFiles } from './tls.js';
