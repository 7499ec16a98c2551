// Brings reports to the server. Each is kept first, sent then, and forgotten only once the server has answered for it.
//
// At once and alone while all is well: it counts from when it arrives, so that a clock that is a little slow does not
// make it late. What could not be sent goes as a batch, each report with the time at which it was made.
import { base, user } from "../page.js";
import { Queue } from "./queue.js";

const BATCH_MAX = 500;
const PATIENCE_MS = 15_000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 60_000;

const ONLINE = "online";
const OFFLINE = "offline";
const SIGNED_OUT = "signed-out";

export class Sender extends EventTarget {
  #queue;
  #beaconed = new Set();
  #busy = false;
  #retry = 0;
  #retryMs = FIRST_RETRY_MS;
  state = ONLINE;

  // `signal` ends it: what waits then is sent by the next page.
  constructor(signal) {
    super();
    this.#queue = new Queue(user);
    addEventListener("online", () => this.flush(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.flush(), { signal });
    signal.addEventListener("abort", () => clearTimeout(this.#retry));
  }

  get waiting() {
    return this.#queue.waiting().filter(([key]) => !this.#beaconed.has(key)).length;
  }

  // Send a report: {kind, id, position_seconds, …}. `leaving`: the page may be gone before there is an answer.
  send(report, leaving = false) {
    const { kind, id, ...body } = report;
    const isFirst = this.waiting === 0;
    const key = this.#queue.put({ ...report, observed_at: new Date().toISOString() });
    const path = `${base}/api/v1/playback/${kind}/${id}`;
    if (leaving) {
      // Nobody hears whether it arrived. It stays, and is sent again; a report that comes twice counts once.
      if (navigator.sendBeacon(path, JSON.stringify(body))) this.#beaconed.add(key);
    } else if (isFirst && !this.#busy && this.state === ONLINE) {
      this.#attempt(path, body, () => [key]);
    } else {
      this.#tell();
      if (this.state !== OFFLINE) this.flush();
    }
  }

  // Send everything that waits.
  async flush() {
    if (this.#busy) return;
    const waiting = this.#queue.waiting().slice(0, BATCH_MAX);
    if (waiting.length === 0) {
      this.#become(ONLINE);
      return;
    }
    const batch = { client_now: new Date().toISOString(), reports: waiting.map(([, report]) => report) };
    await this.#attempt(`${base}/api/v1/playback/batch`, batch, () => waiting.map(([key]) => key));
  }

  async #attempt(path, body, keys) {
    this.#busy = true;
    clearTimeout(this.#retry);
    let answer = null;
    try {
      answer = await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
        keepalive: JSON.stringify(body).length < 60_000, // more than that browsers do not keep alive
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      // Out of reach.
    } finally {
      this.#busy = false;
    }
    this.#judge(answer, keys);
  }

  #judge(answer, keys) {
    const status = answer?.status ?? 0;
    if (status === 401) {
      this.#become(SIGNED_OUT);
    } else if (status === 0 || status === 429 || status >= 500) {
      this.#become(OFFLINE);
      this.#retryLater(Number(answer?.headers.get("retry-after")) * 1000 || 0);
    } else {
      // 200: it is durable. Any other refusal is for good, such as that of an item that is gone.
      this.#queue.remove(keys());
      this.#retryMs = FIRST_RETRY_MS;
      this.#become(ONLINE);
      if (this.waiting) this.flush();
    }
  }

  #retryLater(leastMs) {
    const waitMs = Math.max(leastMs, this.#retryMs) * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.flush(), waitMs);
  }

  #become(state) {
    this.state = state;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

// Send what a player could not send before it was closed. A player does so by itself.
export function sendKept() {
  if (!document.getElementById("player")) new Sender(new AbortController().signal).flush();
}
