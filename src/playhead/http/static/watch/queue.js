// Keeps reports in the browser until the server has them: one entry a report, so that tabs never overwrite each other.
//
// Entries are the user's own: whoever signs in next on this browser must not send them as theirs.
const PREFIX = "playhead.report.";

export class Queue {
  #prefix;
  #storage;
  #count = 0;

  constructor(user, storage = browserStorage()) {
    this.#prefix = `${PREFIX}${user}.`;
    this.#storage = storage;
  }

  // Keep a report; returns its key. A full store gives up reports that a later one of the same playing outdates.
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
        // There is no room, or the browser keeps nothing at all: the report is sent once, and not again.
      }
    }
    return key;
  }

  // All that waits, oldest first, as [key, report].
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

// Where a browser keeps nothing, reports are kept at least as long as the page.
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
