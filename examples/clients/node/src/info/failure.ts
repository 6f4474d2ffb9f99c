import { VideoConferenceError } from '../videoconf/index.js';
import { UsageError } from './arguments.js';

/** Tells what went wrong and returns the exit status. */
export function fail(failed: unknown, asJson: boolean): number {
  const ofCall = failed instanceof VideoConferenceError ? failed : undefined;
  const message = failed instanceof Error ? failed.message : String(failed);
  process.stderr.write(`info: ${oneLine(ofCall ? ofCall.toString() : message)}\n`);
  if (asJson) {
    process.stdout.write(JSON.stringify(ofCall ? failureJson(ofCall) : { message }, null, 2) + '\n');
  }
  return exitStatus(failed);
}

function exitStatus(failed: unknown): number {
  if (failed instanceof UsageError) return 2;
  if (!(failed instanceof VideoConferenceError)) return 1;
  if (failed.callNotFound) return 3;
  if (failed.badRequest) return 4;
  if (failed.badCredentials) return 5;
  if (failed.tryLater) return 6;
  if (failed.deadlineExceeded) return 7;
  return 1;
}

/** What isn't there is undefined, which JSON.stringify leaves out. */
function failureJson(error: VideoConferenceError) {
  return {
    code: error.codeName,
    message: error.message,
    reason: error.reason || undefined,
    metadata: Object.keys(error.metadata).length > 0 ? error.metadata : undefined,
    retryDelayMs: error.retryDelayMs,
    fieldViolations: error.fieldViolations.length > 0 ? error.fieldViolations : undefined,
    requestId: error.requestId || undefined,
  };
}

/**
 * Keeps newlines and a terminal's control codes, which may be in a title or in a message of
 * Rocket.Chat's, from the terminal.
 */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, ' ');
}
