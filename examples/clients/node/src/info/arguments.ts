import { parseArgs } from 'node:util';

/** What the user, not the facade, has to mend. */
export class UsageError extends Error {}

export interface Arguments {
  callId: string;
  server: string;
  authority: string | undefined;
  timeoutMs: number;
  maxAgeMs: number | undefined;
  tlsCa: string | undefined;
  tlsCert: string | undefined;
  tlsKey: string | undefined;
  health: boolean;
  json: boolean;
  help: boolean;
}

export const HELP = `Usage: info [flags] CALL_ID

      --server TARGET     where the facade listens, as a target of grpc-js (default localhost:50051)
      --authority NAME    the :authority to send, and the name that the certificate must be for
      --timeout SECONDS   the deadline of the call (default 10)
      --max-age SECONDS   the oldest answer to accept; 0 is a read of its own (default the facade's choice)
      --tls-ca FILE       speak TLS, and trust the authorities in this PEM file
      --tls-cert FILE     the client's own certificate, a PEM file
      --tls-key FILE      its key, a PEM file
      --health            ask for the service's health in place of a call
      --json              print protobuf's JSON, and failures as JSON, too

Credentials come from VIDEOCONF_USER_ID and VIDEOCONF_AUTH_TOKEN.`;

/** Throws a UsageError. */
export function parse(args: string[]): Arguments {
  const { values, positionals } = flags(args);
  const found: Arguments = {
    callId: positionals[0] ?? '',
    server: values.server,
    authority: values.authority,
    timeoutMs: milliseconds('--timeout', values.timeout),
    // A negative one is the facade's to refuse.
    maxAgeMs: values['max-age'] === undefined ? undefined : milliseconds('--max-age', values['max-age']),
    tlsCa: values['tls-ca'],
    tlsCert: values['tls-cert'],
    tlsKey: values['tls-key'],
    health: values.health,
    json: values.json,
    help: values.help,
  };
  if (found.help) {
    return found;
  }
  if (found.timeoutMs <= 0) {
    throw new UsageError(`--timeout ${values.timeout}: not a time to wait`);
  }
  if (!found.tlsCa && (found.tlsCert || found.tlsKey)) {
    throw new UsageError('--tls-cert and --tls-key need --tls-ca');
  }
  if (!found.tlsCert !== !found.tlsKey) {
    throw new UsageError('--tls-cert and --tls-key need each other');
  }
  if (positionals.length > 1) {
    throw new UsageError(`one CALL_ID, not ${positionals.length}`);
  }
  if (positionals.length === 0 && !found.health) {
    throw new UsageError('CALL_ID is missing; --help tells more');
  }
  return found;
}

function flags(args: string[]) {
  try {
    return parseArgs({
      args: joined(args),
      allowPositionals: true,
      options: {
        server: { type: 'string', default: 'localhost:50051' },
        authority: { type: 'string' },
        timeout: { type: 'string', default: '10' },
        'max-age': { type: 'string' },
        'tls-ca': { type: 'string' },
        'tls-cert': { type: 'string' },
        'tls-key': { type: 'string' },
        health: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (e) {
    throw new UsageError(e instanceof Error ? e.message : String(e));
  }
}

/** parseArgs takes a negative number for a flag, unless it is joined to its own by `=`. */
function joined(args: string[]): string[] {
  const found: string[] = [];
  for (const arg of args) {
    const last = found.at(-1);
    if ((last === '--max-age' || last === '--timeout') && /^-[\d.]/.test(arg)) {
      found[found.length - 1] = `${last}=${arg}`;
    } else {
      found.push(arg);
    }
  }
  return found;
}

function milliseconds(flag: string, text: string): number {
  const ms = text.trim() === '' ? NaN : Number(text) * 1000;
  // Beyond this a Date, and so a deadline, has no value. NaN is refused, too.
  if (!(Math.abs(ms) < 8e15 - Date.now())) {
    throw new UsageError(`${flag} ${text}: not a number of seconds that fits`);
  }
  return ms;
}
