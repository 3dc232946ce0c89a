// Opens the dashboard in headless Chromium and looks at it as a user would: it loads, draws, filters, fits a phone, and
// the console stays silent. Talks to the browser over its debugging pipe, so nothing needs to be installed but Chromium.
//
//   node docs/dashboard/test.mjs SITE SCREENSHOTS
//
// SITE is what `cargo xtask dashboard --out SITE` made; SCREENSHOTS gets pictures. Besides the real records, it shows the
// page 500 made-up ones, and none.
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [site, screenshots] = process.argv.slice(2).map((path) => resolve(path));
if (!screenshots) {
  console.error("usage: node test.mjs SITE SCREENSHOTS");
  process.exit(2);
}

const chromium = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
  .flatMap((name) => process.env.PATH.split(":").map((folder) => join(folder, name)))
  .find(existsSync);
if (!chromium) {
  console.log("skipped: Chromium is not installed");
  process.exit(0);
}

/** The browser, by commands over its pipe: messages are JSON, with a zero byte after each. */
class Browser {
  #process;
  #waiting = new Map();
  #next = 1;
  #pending = "";
  onEvent = () => {};

  constructor(profile) {
    const options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"];
    this.#process = spawn(chromium, [...options, `--user-data-dir=${profile}`, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    this.#process.stdio[4].on("data", (chunk) => this.#read(chunk.toString()));
  }

  #read(text) {
    const messages = (this.#pending + text).split("\0");
    this.#pending = messages.pop();
    for (const message of messages.map((one) => JSON.parse(one))) {
      if (message.id === undefined) {
        this.onEvent(message);
        continue;
      }
      const { accept, reject } = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) reject(new Error(message.error.message));
      else accept(message.result);
    }
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.#next++;
    this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((accept, reject) => this.#waiting.set(id, { accept, reject }));
  }

  async close() {
    const ended = new Promise((accept) => this.#process.once("exit", accept));
    await this.send("Browser.close").catch(() => {});
    await ended;
  }
}

/** A page of the browser; what its console says is kept. */
class Page {
  complaints = [];
  #browser;
  #session;
  #loaded;

  static async open(browser) {
    const page = new Page();
    page.#browser = browser;
    const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
    page.#session = (await browser.send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
    browser.onEvent = (event) => page.#event(event);
    for (const domain of ["Page", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    return page;
  }

  #event({ method, params }) {
    if (method === "Page.loadEventFired") this.#loaded?.();
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) {
      this.complaints.push(params.args.map((arg) => arg.value ?? arg.description).join(" "));
    }
    if (method === "Log.entryAdded" && params.entry.level === "error") this.complaints.push(`${params.entry.text} ${params.entry.url ?? ""}`);
  }

  send(method, params) {
    return this.#browser.send(method, params, this.#session);
  }

  async goTo(folder) {
    const loaded = new Promise((accept) => (this.#loaded = accept));
    await this.send("Page.navigate", { url: pathToFileURL(join(folder, "index.html")).href });
    await loaded;
  }

  /** The value of an expression in the page, which may be a promise. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  async look(width, height, dark) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
    // Two frames: one to lay out, one to draw.
    await this.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
  }

  async screenshot(name) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: false });
    writeFileSync(join(screenshots, name), Buffer.from(data, "base64"));
  }
}

/** Made-up records in the form of history.js. */
function madeUp(count) {
  const engines = ["base", "luajit", "puc54"];
  const wave = (i, n) => 1 + 0.3 * Math.sin(i / 17 + n) + 0.05 * Math.cos(i * n);
  const column = (n, from) => Array.from({ length: count }, (_, i) => (i < from ? null : Number(wave(i, n).toPrecision(4))));
  const programs = {};
  for (let n = 0; n < 80; n++) {
    const ratios = Object.fromEntries(engines.map((engine, k) => [engine, column(n + k, n)]));
    programs[`class${n % 8}/program_${n}`] = {
      class: `class${n % 8}`, heldOut: n % 10 === 0, ratios, spread: column(n, 0).map((x) => x / 50),
      peak: column(n, 0).map((x) => Math.round(x * 3e6)), failure: null,
    };
  }
  const machine = { cpu: "A processor", cores: 2, arch: "x86_64", os: "linux", rustc: "rustc 1" };
  const commit = (i) => ({ id: i.toString(16).padStart(40, "0"), date: "2026-01-01T00:00:00Z", subject: `Change number ${i}` });
  const records = Array.from({ length: count }, (_, i) => ({
    date: new Date(Date.UTC(2025, 0, 1 + i)).toISOString().slice(0, 19) + "Z",
    head: commit(i + 1), base: commit(i), machine, runs: 5,
    engines: Object.fromEntries(["head", ...engines].map((name) => [name, `${name} 1.0`])),
    means: Object.fromEntries(engines.map((name, k) => [name, { cpu: wave(i, k) / (k + 1), cpu_held_out: wave(i, k + 5), peak: 1.1 }])),
    regressions: i % 50 === 0 ? ["class1/program_1: 1.20 times the CPU time of the base"] : [],
  }));
  const numbers = (names, scale) => Object.fromEntries(names.map((name, n) => [name, { head: column(n, 0).map((x) => x && Math.round(x * scale)), base: scale }]));
  return {
    repository: "https://example.org/perilune", records, programs,
    counts: numbers(Array.from({ length: 50 }, (_, n) => `interp/scenario-${n}`), 1e6),
    budgets: numbers(Array.from({ length: 30 }, (_, n) => `call/operation-${n}/heap_bytes`), 100),
  };
}

function siteWith(folder, history) {
  cpSync(site, folder, { recursive: true });
  writeFileSync(join(folder, "history.js"), `window.PERF_HISTORY = ${JSON.stringify(history)};\n`);
  return folder;
}

let checks = 0;
let failures = 0;
function check(what, holds, seen = "") {
  checks++;
  if (holds) return;
  failures++;
  console.error(`FAILED: ${what} ${seen}`);
}

const rows = (table) => `document.querySelectorAll("#${table} tbody tr").length`;
const set = (id, property, value, event) =>
  `{ const e = document.getElementById("${id}"); e.${property} = ${JSON.stringify(value)}; e.dispatchEvent(new Event("${event}", { bubbles: true })); }`;
/** How many colours a chart's canvas has: more than a few mean that lines are drawn. */
const colours = (id) => `(() => {
  const canvas = document.querySelector("#${id} canvas");
  if (!canvas) return 0;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const found = new Set();
  for (let i = 0; i < pixels.length; i += 4) found.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
  return found.size;
})()`;

async function manyRecords(page, folder) {
  await page.look(1280, 900, false);
  const start = Date.now();
  await page.goTo(folder);
  check("500 records are shown within five seconds", Date.now() - start < 5000, `${Date.now() - start} ms`);
  check("every record has a row", (await page.evaluate(rows("records"))) === 500);
  check("every program has a row", (await page.evaluate(rows("programs"))) === 80);
  for (const chart of ["means-chart", "program-chart", "count-chart", "budget-chart"]) {
    check(`${chart} is drawn`, (await page.evaluate(colours(chart))) > 8);
  }
  await page.screenshot("light.png");

  await page.evaluate(set("filter", "value", "program_7", "input"));
  check("the filter keeps what contains its text", (await page.evaluate(rows("programs"))) === 11);
  await page.evaluate(set("filter", "value", "", "input"));
  await page.evaluate(set("class", "value", "class3", "change"));
  check("a class shows its programs", (await page.evaluate(rows("programs"))) === 10);
  await page.evaluate(set("class", "value", "", "change"));
  await page.evaluate(set("aside", "checked", true, "change"));
  check("held-out programs can be seen alone", (await page.evaluate(rows("programs"))) === 8);
  await page.evaluate(set("aside", "checked", false, "change"));
  await page.evaluate(set("losing", "checked", true, "change"));
  const losing = await page.evaluate(rows("programs"));
  check("losing rows can be seen alone", losing > 0 && losing < 80, losing);
  check("all of them are marked", (await page.evaluate(`document.querySelectorAll("#programs tbody td:nth-child(2).losing").length`)) === losing);
  await page.evaluate(set("losing", "checked", false, "change"));
  const cell = `document.querySelector("#programs tbody tr td:nth-child(2)").textContent`;
  const before = await page.evaluate(cell);
  await page.evaluate(set("engine", "value", "luajit", "change"));
  check("another engine gives other ratios", (await page.evaluate(cell)) !== before);
  await page.evaluate(`document.querySelectorAll("#programs thead th")[1].click()`);
  check("a column sorts", await page.evaluate(`(() => {
    const shown = [...document.querySelectorAll("#programs tbody td:nth-child(2)")].map((cell) => Number(cell.textContent));
    return shown.every((value, i) => i === 0 || shown[i - 1] <= value);
  })()`));
  await page.evaluate(`document.querySelectorAll("#programs tbody tr")[5].click()`);
  check("a chosen row has its chart", await page.evaluate(
    `document.getElementById("program-title").textContent.startsWith(document.querySelector("#programs tr.chosen td").textContent.replace(" *", ""))`));
  check("commits are links", (await page.evaluate(`document.querySelector("#records a").href`)).startsWith("https://example.org/perilune/commit/"));

  await page.look(1280, 900, true);
  check("dark is dark", await page.evaluate(`getComputedStyle(document.body).backgroundColor`) === "rgb(18, 22, 29)");
  await page.screenshot("dark.png");
  await page.look(390, 844, true);
  const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
  check("a phone needs no sideways scrolling", overflow <= 0, overflow);
  await page.screenshot("phone.png");
}

async function realRecords(page) {
  await page.look(1280, 900, false);
  await page.goTo(site);
  const records = await page.evaluate("Model.records.length");
  check("the real records are shown", (await page.evaluate(rows("records"))) === records);
  if (records > 0) check("their means are drawn", (await page.evaluate(colours("means-chart"))) > 4);
  await page.screenshot("records.png");
}

async function otherSeries(page, folder) {
  const data = { lastUpdate: 0, repoUrl: "", entries: { Other: [1, 2, 3].map((day) => ({
    commit: { id: "a", message: "m", url: "https://example.org/c" }, date: Date.UTC(2026, 0, day), tool: "cargo",
    benches: [{ name: "loop", value: day * 10, unit: "ns/iter" }],
  })) } };
  writeFileSync(join(folder, "data.js"), `window.BENCHMARK_DATA = ${JSON.stringify(data)}\n`);
  await page.goTo(folder);
  check("without records it says so", !(await page.evaluate(`document.getElementById("empty").hidden`)));
  check("series of data.js are drawn", (await page.evaluate(colours("imported-chart"))) > 4);
}

mkdirSync(screenshots, { recursive: true });
const work = mkdtempSync(join(tmpdir(), "dashboard-"));
const browser = new Browser(join(work, "profile"));
const limit = setTimeout(() => {
  console.error("FAILED: no end after two minutes");
  process.exit(1);
}, 120_000);
try {
  const page = await Page.open(browser);
  await manyRecords(page, siteWith(join(work, "many"), madeUp(500)));
  await realRecords(page);
  await otherSeries(page, siteWith(join(work, "none"), { ...madeUp(0), programs: {}, counts: {}, budgets: {} }));
  check("the console is silent", page.complaints.length === 0, page.complaints.join("\n"));
} finally {
  clearTimeout(limit);
  await browser.close();
  rmSync(work, { recursive: true, force: true });
}
console.log(`dashboard: ${checks - failures} of ${checks} checks passed; pictures in ${screenshots}`);
process.exit(failures ? 1 : 0);
