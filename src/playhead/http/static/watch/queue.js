// Keeps reports in the browser until the server has them: one entry per report, so that tabs never overwrite each
// other.
//
// Entries belong to a user: the next user of this browser must not send them as theirs.
const PREFIX = "playhead.report.";

export class Queue {
  #prefix;
  #storage;
  #count = 0;

  constructor(user, storage = browserStorage()) {
    this.#prefix = `${PREFIX}${user}.`;
    this.#storage = storage;
  }

  // Store a report; returns its key. When full, reports superseded by a later one of the same playback are dropped.
  put(report) {
    this.#count += 1;
    const order = `${String(Date.now()).padStart(15, "0")}.${String(this.#count).padStart(6, "0")}`;
    const key = `${this.#prefix}${order}.${Math.random().toString(36).slice(2, 8)}`;
    try {
      this.#storage.setItem(key, JSON.stringify(report));
    } catch {
      this.#thin();
      try {
        this.#storage.setItem(key, JSON.stringify(report));
      } catch {
        // The storage is full or disabled: the report is sent once, and not retried.
      }
    }
    return key;
  }

  // All queued reports, oldest first, as [key, report].
  waiting() {
    const found = [];
    for (let number = 0; number < this.#storage.length; number += 1) {
      const key = this.#storage.key(number);
      if (key?.startsWith(this.#prefix)) found.push(key);
    }
    return found.sort().flatMap((key) => {
      try {
        return [[key, JSON.parse(this.#storage.getItem(key))]];
      } catch {
        this.remove([key]);
        return [];
      }
    });
  }

  remove(keys) {
    for (const key of keys) this.#storage.removeItem(key);
  }

  #thin() {
    const newest = new Set();
    const outdated = [];
    for (const [key, report] of this.waiting().reverse()) {
      const playing = `${report.id} ${report.session_id}`;
      if (report.event === "progress" && newest.has(playing)) outdated.push(key);
      newest.add(playing);
    }
    this.remove(outdated);
  }
}

// If a browser stores nothing, reports are kept as long as the page is open.
function browserStorage() {
  try {
    localStorage.getItem(PREFIX);
    return localStorage;
  } catch {
    const kept = new Map();
    return {
      get length() {
        return kept.size;
      },
      key: (number) => [...kept.keys()][number] ?? null,
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    };
  }
}
