// A page in a real Chromium asks a facade, over HTTP/1.1 and, with TLS, over HTTP/2.
// Usage: run.mjs FACADE CHROMIUM
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const [facade, chromium] = process.argv.slice(2);
const USER = { userId: 'CkCPNctrgCDfmWLqC', authToken: '1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE' };

/** Serves the page, and gives its origin. */
async function pages() {
  const script = await readFile(new URL('dist/page.js', import.meta.url));
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : '<!doctype html><script type="module" src="/page.js"></script>');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** The demo, which lets pages of `origin` make calls. */
async function demo(origin, ...flags) {
  const options = ['--listen', '127.0.0.1:0', '--log-format', 'json', '--grpc-web-origin', origin];
  const running = spawn(facade, ['demo', ...options, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  const lines = [];
  const serving = new Promise((resolve, reject) => {
    createInterface(running.stderr).on('line', (line) => {
      lines.push(line);
      if (line.includes('"message":"serving"')) {
        resolve(JSON.parse(line).listen);
      }
    });
    running.on('exit', () => reject(new Error(lines.join('\n'))));
  });
  return { address: await serving, lines, stop: () => running.kill() };
}

let passed = 0;
async function shows(name, check) {
  await check();
  console.log(`ok      ${name}`);
  passed += 1;
}

const [allowed, other] = [await pages(), await pages()];
const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ['--no-sandbox'], // It runs as root in containers.
  acceptInsecureCerts: true, // The demo's authority is made on the spot.
});
const demos = [];
try {
  for (const [over, scheme, flags] of [['HTTP/1.1', 'http', []], ['HTTP/2', 'https', ['--tls']]]) {
    const { address, lines } = demos[demos.push(await demo(allowed.origin, ...flags)) - 1];
    const page = await browser.newPage();
    await page.goto(allowed.origin);
    await page.waitForFunction('window.getInfo');
    const base = `${scheme}://${address}`;
    const getInfo = (...call) => page.evaluate((...it) => window.getInfo(...it), base, ...call);

    await shows(`${over}: a conference`, async () => {
      const { answer } = await getInfo('697866d5c8b053302078137a', USER);
      assert.equal(answer.videoConference._id, '697866d5c8b053302078137a');
      assert.equal(answer.videoConference.title, 'testdiscussion');
      assert.equal(answer.videoConference.anonymousUsers, 0);
      assert.equal(answer.videoConference.users[0].username, 'jane.doe');
    });
    await shows(`${over}: no such conference`, async () => {
      const { code, reason, message, requestId } = await getInfo('no-such-call', USER);
      assert.deepEqual([code, reason], ['InvalidArgument', 'CALL_NOT_FOUND_OR_NOT_VISIBLE']);
      assert.equal(message, 'no such conference, or not visible to this user');
      assert.match(requestId, /^[0-9a-f]{32}$/);
    });
    await shows(`${over}: a bad id`, async () => {
      const { code, reason, field } = await getInfo('', USER);
      assert.deepEqual([code, reason, field], ['InvalidArgument', 'INVALID_CALL_ID', 'call_id']);
    });
    await shows(`${over}: no credentials`, async () => {
      const { code, reason } = await getInfo('697866d5c8b053302078137a');
      assert.deepEqual([code, reason], ['Unauthenticated', 'CREDENTIALS_MISSING']);
    });
    await shows(`${over}: wrong credentials`, async () => {
      const { code, reason } = await getInfo('697866d5c8b053302078137a', { ...USER, authToken: 'wrong' });
      assert.deepEqual([code, reason], ['Unauthenticated', 'CREDENTIALS_REJECTED']);
    });
    await shows(`${over}: health`, async () => {
      assert.equal(await page.evaluate((it) => window.health(it), base), 1);
    });
    await shows(`${over}: another page may not`, async () => {
      const stranger = await browser.newPage();
      await stranger.goto(other.origin);
      await stranger.waitForFunction('window.getInfo');
      const { code } = await stranger.evaluate((...it) => window.getInfo(...it), base, 'strange', USER);
      assert.equal(code, 'Unknown');
      // It hasn't come as far as a call: the one after it has a line, and it hasn't.
      const { requestId } = await getInfo('no-such-call-either', USER);
      while (!lines.some((it) => it.includes(requestId))) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const calls = lines.filter((it) => it.includes('"access"')).map((it) => JSON.parse(it));
      assert.equal(calls.filter((it) => it.reason === 'CALL_NOT_FOUND_OR_NOT_VISIBLE').length, 2);
    });
  }
  console.log(`${passed} passed, 0 failed`);
} finally {
  await browser.close();
  demos.forEach((it) => it.stop());
  allowed.close();
  other.close();
}
