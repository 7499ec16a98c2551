// Where Playhead is mounted, who is signed in, and requests to it.

export const { base, user } = document.documentElement.dataset;

// Request one of our routes. An expired session leads to the sign-in page, and back here afterwards.
export async function ask(path, options = {}) {
  const answer = await fetch(base + path, { cache: "no-store", ...options });
  if (answer.status === 401) {
    const here = location.pathname.slice(base.length) + location.search;
    location.assign(`${base}/sign-in?next=${encodeURIComponent(here)}`);
  }
  return answer;
}
