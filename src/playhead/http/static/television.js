// Continues as soon as a phone has approved the code on the screen. Without scripts the button does the same.

const SLOWER_BY_S = 5;

const form = document.querySelector("form[data-waiting]");
let intervalS = Number(form.dataset.waiting);

async function ask() {
  let state;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    const told = await answer.json();
    state = told.state;
    if (state === "approved") {
      location.assign(told.next);
      return;
    }
  } catch {
    // The server is unreachable, and may come back before the code expires.
  }
  if (state === "slow_down") intervalS += SLOWER_BY_S;
  if (state === "access_denied" || state === "expired_token") {
    // Waiting is pointless: the page that the form leads to says why.
    form.submit();
    return;
  }
  setTimeout(ask, intervalS * 1000);
}

setTimeout(ask, intervalS * 1000);
