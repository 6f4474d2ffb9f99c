"use strict";
// Draws what /history.json has: the values of some series, one each few seconds. Counters are drawn as rates.

const EVERY = 2000;
const byId = (id) => document.getElementById(id);
const svgNamespace = "http://www.w3.org/2000/svg";

const rounded = (value) => Number(value.toPrecision(value < 100 ? 2 : 3)).toLocaleString("en");
const perSecond = (value) => `${rounded(value)}/s`;
const seconds = (value) => (value < 1 ? `${rounded(value * 1000)} ms` : `${rounded(value)} s`);
const share = (value) => `${(value * 100).toFixed(value > 0.999 || value < 0.1 ? 2 : 1)} %`;

/** The history, as rates and gauges over time. */
class History {
  constructor({ at, series }) {
    this.at = at;
    this.series = series;
  }

  /** The series whose names begin so, by what comes after. */
  family(name) {
    const start = `${name}/`;
    return Object.keys(this.series).filter((it) => it.startsWith(start)).map((it) => it.slice(start.length));
  }

  gauge(name) {
    return this.series[name] ?? this.at.map(() => null);
  }

  /** How much a counter grew a second, between each two samples. */
  rate(name) {
    const values = this.series[name] ?? [];
    return this.at.map((at, i) => {
      const before = values[i - 1] ?? 0;
      return i === 0 || values[i] === null ? null : Math.max(0, values[i] - before) / (at - this.at[i - 1]);
    });
  }

  rates(family) {
    // What is well comes first, so that it has the same colour always.
    const names = this.family(family).sort((a, b) => (b === "OK") - (a === "OK") || (a < b ? -1 : 1));
    return Object.fromEntries(names.map((it) => [it, this.rate(`${family}/${it}`)]));
  }

  /** A quantile of a histogram's growth over the last `over` samples. */
  quantile(family, q, over = 5) {
    const bounds = this.family(family).map(Number).sort((a, b) => a - b);
    const grown = (bound, i) => {
      const values = this.series[`${family}/${bound === Infinity ? "+Inf" : bound}`] ?? [];
      return (values[i] ?? 0) - (values[Math.max(0, i - over)] ?? 0);
    };
    return this.at.map((_, i) => {
      const total = grown(Infinity, i);
      if (i === 0 || total <= 0) return null;
      let below = 0, from = 0;
      for (const bound of bounds) {
        const count = grown(bound, i);
        if (count >= q * total) {
          if (bound === Infinity) return from;
          return from + (bound - from) * ((q * total - below) / (count - below || 1));
        }
        [below, from] = [count, bound];
      }
      return from;
    });
  }
}

const last = (values) => values.findLast((it) => it !== null) ?? null;
const sum = (lines) => Object.values(lines).reduce((all, line) => all.map((it, i) => it + (line[i] ?? 0)), Object.values(lines)[0]?.map(() => 0) ?? []);

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(name === "svg" || attributes.svg ? svgNamespace : "http://www.w3.org/1999/xhtml", name);
  delete attributes.svg;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const drawn = (name, attributes, ...children) => element(name, { ...attributes, svg: true }, ...children);

/** A figure with a line, or an area, for each of `lines`. */
function chart({ title, about, lines, unit, stacked, limit }, at) {
  const [width, height, left] = [420, 140, 44];
  const names = Object.keys(lines).filter((name) => lines[name].some((it) => it));
  const color = (name) => `var(--c${Object.keys(lines).indexOf(name) % 8})`;
  const tops = stacked ? sum(lines) : names.flatMap((name) => lines[name]);
  const highest = Math.max(limit ?? 0, ...tops.map((it) => it ?? 0)) || 1;
  const x = (i) => left + ((at[i] - at[0]) / Math.max(1, at.at(-1) - at[0])) * (width - left);
  const y = (value) => height - 18 - (value / highest) * (height - 26);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const value of [0, highest / 2, highest]) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    svg.append(drawn("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, unit(value)));
  }
  const minutes = Math.round((at.at(-1) - at[0]) / 6) / 10;
  svg.append(drawn("text", { x: left, y: height - 2 }, `${minutes} min ago`));
  svg.append(drawn("text", { x: width, y: height - 2, "text-anchor": "end" }, "now"));
  const below = at.map(() => 0);
  for (const name of names) {
    const values = lines[name];
    if (stacked) {
      const from = [...below];
      values.forEach((it, i) => (below[i] += it ?? 0));
      const points = [...below.map((it, i) => `${x(i)},${y(it)}`), ...from.map((it, i) => `${x(i)},${y(it)}`).reverse()];
      svg.append(drawn("polygon", { points: points.join(" "), fill: color(name), "fill-opacity": 0.75 }));
    } else {
      const path = values.map((it, i) => (it === null ? "" : `${values[i - 1] == null ? "M" : "L"}${x(i)} ${y(it)}`)).join("");
      svg.append(drawn("path", { d: path, fill: "none", stroke: color(name), "stroke-width": 2 }));
    }
  }
  const legend = names.map((name) => {
    const now = last(lines[name]);
    return element("li", { style: `--color: ${color(name)}` }, `${name}: ${now === null ? "nothing" : unit(now)}`);
  });
  const words = names.length ? about : `${about} Nothing yet.`;
  return element("figure", {}, element("h2", {}, title), svg, element("figcaption", {}, words), element("ul", {}, ...legend));
}

function tile(name, value, kind = "") {
  return element("div", { class: "tile" }, element("dt", {}, name), element("dd", { class: kind }, value));
}

/** The users that had the most requests sent, as a table. */
function table({ title, about, users }) {
  const rows = users.map(([user, count]) => element("tr", {}, element("td", {}, element("code", {}, user)), element("td", {}, count.toLocaleString("en"))));
  const head = element("tr", {}, element("th", { scope: "col" }, "credential"), element("th", { scope: "col" }, "requests"));
  const words = users.length ? about : `${about} Nothing yet.`;
  return element("figure", {}, element("h2", {}, title), element("figcaption", {}, words), element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

/** What there is to see of replicas, if the limit is shared with any. */
function replicasOf(history) {
  const [all, isReachable] = [history.gauge("replicas/all"), history.gauge("replicas/reachable")];
  const count = last(all);
  if (count === null) return { tiles: [], charts: [] };
  const isShared = last(isReachable) === 1;
  const words = isShared ? rounded(count) : `alone, 1 of ${rounded(count)}`;
  const lines = { "share the limit": all.map((it, i) => (it === null ? null : isReachable[i] ? it : 1)), "have another key file": history.gauge("replicas/strangers") };
  const about = "One, while the shared store can't be reached.";
  return { tiles: [tile("Replicas", words, isShared ? "good" : "bad")], charts: [{ title: "Replicas", about, lines, unit: rounded }] };
}

function draw({ about, history: raw, users }) {
  const history = new History(raw);
  const calls = history.rates("calls");
  const answers = history.rates("answers");
  const allowance = {
    "used by us": history.gauge("allowance/used"),
    "expected of others": history.gauge("allowance/others"),
  };
  const limit = last(history.gauge("allowance/limit"));
  const used = last(allowance["used by us"]);
  const ok = last(calls.OK ?? [0]) ?? 0;
  const all = last(sum(calls)) ?? 0;
  const age = { median: history.quantile("age", 0.5), p99: history.quantile("age", 0.99) };
  const latency = { median: history.quantile("duration", 0.5), p99: history.quantile("duration", 0.99) };
  const upstream = Object.fromEntries(
    history.family("upstream_count").sort().map((what) => {
      const [count, took] = [history.rate(`upstream_count/${what}`), history.rate(`upstream_sum/${what}`)];
      return [what, count.map((it, i) => (it ? took[i] / it : null))];
    }),
  );
  const isDown = last(history.gauge("upstream_down")) === 1;
  const replicas = replicasOf(history);
  byId("about").textContent = about;
  byId("tiles").replaceChildren(
    tile("Rocket.Chat", isDown ? "no answers" : "answers", isDown ? "bad" : "good"),
    tile("Calls", perSecond(all)),
    tile("OK", all ? share(ok / all) : "no calls"),
    tile("Allowance", limit === null ? "no limit" : `${rounded(used ?? 0)} of ${rounded(limit)}`),
    tile("Age, median", last(age.median) === null ? "no answers" : seconds(last(age.median))),
    tile("In flight", rounded(last(history.gauge("in_flight")) ?? 0)),
    tile("Connections", rounded(last(history.gauge("connections")) ?? 0)),
    ...replicas.tiles,
  );
  byId("charts").replaceChildren(
    ...[
      { title: "Calls by code", about: "A second, of all methods of the service.", lines: calls, unit: perSecond, stacked: true },
      { title: "Refusals by reason", about: "A second; the runbook has a section for each.", lines: history.rates("refusals"), unit: perSecond },
      { title: "Where answers come from", about: "Memory and shared reads cost Rocket.Chat nothing.", lines: answers, unit: perSecond, stacked: true },
      { title: "Allowance", about: `Requests in Rocket.Chat's window${limit === null ? "" : `, of ${rounded(limit)}`}.`, lines: allowance, unit: rounded, stacked: true, limit },
      { title: "Age of answers", about: "When their calls came.", lines: age, unit: seconds },
      { title: "How long calls take", about: "Until the end of their answers.", lines: latency, unit: seconds },
      { title: "How long Rocket.Chat takes", about: "On average, by what came of it.", lines: upstream, unit: seconds },
      { title: "Waiting", about: "Reads that wait for their turn, and all that are under way.", lines: { waiting: history.gauge("queue"), "under way": history.gauge("reads") }, unit: rounded },
      ...replicas.charts,
    ].map((it) => chart(it, history.at)),
    table({ title: "Who has Rocket.Chat asked", about: "Requests of the last five minutes (10,000 at most), by a hash of the credentials that the log has, too.", users }),
  );
}

async function follow() {
  const lost = byId("lost");
  try {
    const answer = await fetch("/history.json");
    draw(await answer.json());
    lost.hidden = true;
  } catch {
    lost.textContent = `No answer from the facade since ${new Date().toLocaleTimeString()}`;
    lost.hidden = false;
  }
  setTimeout(follow, EVERY);
}
follow();
