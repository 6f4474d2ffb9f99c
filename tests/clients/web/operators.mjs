// The operators' page in a real Chromium: light, dark and on a phone.
// Usage: operators.mjs FACADE CHROMIUM [FOLDER-FOR-SCREENSHOTS]
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const [facade, chromium, folder] = process.argv.slice(2);
const user = { VIDEOCONF_USER_ID: 'CkCPNctrgCDfmWLqC', VIDEOCONF_AUTH_TOKEN: '1Dd4iN_ClKn5jl-xPC36snQ4s9Zd5GZnXCQuCNSKcVE' };

const demo = spawn(facade, ['demo', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0'], {
  stdio: ['ignore', 'ignore', 'pipe'],
});
const said = (what) =>
  new Promise((resolve, reject) => {
    lines.on('line', (line) => line.startsWith(what) && resolve(line.split(/\s+/).at(-1)));
    demo.on('exit', () => reject(new Error('the demo ended')));
  });
const lines = createInterface(demo.stderr);
const [address, url] = await Promise.all([said('The facade:'), said('For operators:')]);

function ask(callId, more = {}) {
  spawnSync(facade, ['get-info', '--server', address, callId], { env: { ...process.env, ...user, ...more } });
}
// What happened before the first sample isn't drawn.
while ((await (await fetch(`${url}history.json`)).json()).history.at.length === 0) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
for (let i = 0; i < 5; i++) {
  ask('697866d5c8b053302078137a', i === 0 ? { VIDEOCONF_MAX_AGE: '0s' } : {});
}
ask('no-such-call');
ask('697866d5c8b053302078137a', { VIDEOCONF_AUTH_TOKEN: 'wrong' });

const browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox'] });
try {
  for (const [name, scheme, width] of [
    ['light', 'light', 1100],
    ['dark', 'dark', 1100],
    ['phone', 'light', 360],
  ]) {
    const page = await browser.newPage();
    const problems = [];
    page.on('console', (it) => problems.push(it.text()));
    page.on('pageerror', (it) => problems.push(it.message));
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.setViewport({ width, height: 800 });
    await page.goto(url);
    // The calls are in a sample two seconds after they were made.
    await page.waitForFunction(() => document.body.innerText.includes('CREDENTIALS_REJECTED'));
    // The users of the last five minutes, by their hashes: one who was refused, too.
    const users = await page.$$eval('tbody tr', (all) => all.map((it) => it.innerText.split(/\s+/)));
    assert.equal(users.length, 2, name);
    for (const [hash, requests] of users) {
      assert.match(hash, /^[0-9a-f]{8}$/);
      assert(Number(requests) > 0, name);
    }
    const { text, figures, overflow, paper } = await page.evaluate(() => ({
      text: document.body.innerText,
      figures: document.querySelectorAll('figure svg').length,
      overflow: document.documentElement.scrollWidth > window.innerWidth,
      paper: getComputedStyle(document.body).backgroundColor,
    }));
    assert.equal(figures, 8, name);
    assert.equal(overflow, false, `${name} is wider than its screen`);
    assert.equal(paper, scheme === 'dark' ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)', name);
    for (const words of ['of 15', 'own read', 'CALL_NOT_FOUND_OR_NOT_VISIBLE', 'InvalidArgument', 'answers']) {
      assert(text.includes(words), `${name}: no ${words} in ${text}`);
    }
    for (const secret of [...Object.values(user), '697866d5c8b053302078137a', 'no-such-call', 'jane']) {
      assert(!(await page.content()).includes(secret), `${name} shows ${secret}`);
    }
    assert.deepEqual(problems, [], name);
    // Each chart tells its last values in words.
    const words = await page.$$eval('figure', (all) => all.filter((it) => it.querySelector('ul li') || /Nothing yet/.test(it.innerText)).length);
    assert.equal(words, 8, name);
    if (folder) {
      await page.screenshot({ path: `${folder}/page-${name}.png`, fullPage: true });
    }
    console.log(`ok      the operators' page: ${name}`);
  }
} finally {
  await browser.close();
  demo.kill();
}
