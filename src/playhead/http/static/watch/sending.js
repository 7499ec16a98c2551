// Sends reports to the server. Each is stored first, then sent, and deleted only once the server has answered it.
//
// Immediately and one by one while all is well: then it counts from its arrival, so that a slightly slow clock does not
// make it late. Unsent reports are sent as a batch, each with the time of its observation.
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

  // `signal` stops it: unsent reports are sent by the next page.
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

  // Send a report: {kind, id, position_seconds, …}. `leaving`: the page may be closed before there is an answer.
  send(report, leaving = false) {
    const { kind, id, ...body } = report;
    const isFirst = this.waiting === 0;
    const key = this.#queue.put({ ...report, observed_at: new Date().toISOString() });
    const path = `${base}/api/v1/playback/${kind}/${id}`;
    if (leaving) {
      // The answer is unknown. The report stays, and is sent again; sending it twice counts once.
      if (navigator.sendBeacon(path, JSON.stringify(body))) this.#beaconed.add(key);
    } else if (isFirst && !this.#busy && this.state === ONLINE) {
      this.#attempt(path, body, () => [key]);
    } else {
      this.#tell();
      if (this.state !== OFFLINE) this.flush();
    }
  }

  // Send all queued reports.
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
        keepalive: JSON.stringify(body).length < 60_000, // browsers limit keepalive requests to this size
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      // Unreachable.
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
      // 200: it is durable. Any other refusal is final, such as that of a removed item.
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

// Send the reports that a closed player could not send. An open player does so on its own.
export function sendKept() {
  if (!document.getElementById("player")) new Sender(new AbortController().signal).flush();
}
