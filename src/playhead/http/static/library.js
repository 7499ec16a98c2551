// Loads the next page of a library when its end comes near, and keeps the pages as the server would render them now.
//
// Each page is a section with the address that it came from. A change elsewhere makes all of them stale; visible ones
// are fetched again immediately, the others when they become visible. Without scripts there is a link.
import { base } from "./page.js";
import { replace } from "./live.js";

const AHEAD = "1500px";
const GATHER_MS = 150;

const parts = document.getElementById("parts");
const sources = new WeakMap();
const stale = new Set();
const inSight = new Set();
let timer = 0;

const watching = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) inSight.add(target);
    else inSight.delete(target);
  }
  freshen();
});

const nearing = new IntersectionObserver(
  (entries) => {
    if (entries.some((entry) => entry.isIntersecting)) loadMore();
  },
  { rootMargin: AHEAD },
);

function begin() {
  const first = document.getElementById("part");
  sources.set(first, location.href);
  watching.observe(first);
  nearEnd();
  for (const name of ["progress", "watched", "refetch"]) document.addEventListener(`playhead:${name}`, changed);
  addEventListener("pageshow", (event) => event.persisted && changed());
  document.getElementById("sort")?.addEventListener("change", (event) => event.target.form.requestSubmit());
}

function nearEnd() {
  const more = document.getElementById("more");
  if (more) nearing.observe(more);
}

async function fetchPart(address) {
  const answer = await fetch(address, { cache: "no-store", headers: { accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function loadMore() {
  const more = document.getElementById("more");
  if (!more) return;
  nearing.unobserve(more);
  const address = more.href;
  try {
    const page = await fetchPart(address);
    const part = document.importNode(page.getElementById("part"), true);
    part.removeAttribute("id");
    sources.set(part, address);
    withoutTwins(part, keysOf(parts));
    parts.append(part);
    watching.observe(part);
    const next = page.getElementById("more");
    if (next) more.href = next.getAttribute("href");
    else more.remove();
    nearEnd();
  } catch {
    // The link stays: following it shows what is wrong.
  }
}

function changed() {
  for (const part of parts.children) stale.add(part);
  clearTimeout(timer);
  timer = setTimeout(freshen, GATHER_MS);
}

async function freshen() {
  for (const part of [...inSight]) {
    if (!stale.delete(part)) continue;
    try {
      const page = await fetchPart(sources.get(part));
      const fresh = page.getElementById("part");
      // If an item has left this page, the first of the next page has moved up, which is shown there already.
      if (part.nextElementSibling) withoutTwins(fresh, keysOf(part.nextElementSibling));
      replace(part, fresh);
    } catch {
      stale.add(part); // until the next change, or until it becomes visible again
    }
  }
}

function keysOf(element) {
  return new Set([...element.querySelectorAll("[data-key]")].map((child) => child.dataset.key));
}

function withoutTwins(part, keys) {
  for (const child of part.querySelectorAll("[data-key]")) if (keys.has(child.dataset.key)) child.remove();
}

if (parts && base !== undefined) begin();
