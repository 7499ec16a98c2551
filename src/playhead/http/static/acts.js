// Sends small forms (`form[data-act]`) without loading a page, confirms the action, and offers to undo it.
//
// The server answers a form that asks for JSON with {"done": words, "undo": {"action": path, "fields": {…}}}; without
// `undo` the action cannot be undone, and without words `data-done` is shown. Without scripts the same form is
// submitted normally, and the server redirects back to the page.
import { ask } from "./page.js";
import { refresh } from "./live.js";
import { toast } from "./toast.js";
import { gettext } from "./words.js";

const REFUSALS = {
  409: gettext("It has changed in the meantime and was left as it is."),
  503: gettext("The server is busy. Try again in a moment."),
};

export function enhanceActs() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-act]");
    if (!form || event.defaultPrevented) return;
    event.preventDefault();
    for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
    // A form may have a field named `action`; the attribute is meant here.
    const wanted = event.submitter?.getAttribute("formaction") ?? form.getAttribute("action");
    const path = new URL(wanted, location.href).pathname.slice(document.documentElement.dataset.base.length);
    send(path, new URLSearchParams(new FormData(form, event.submitter)), form.dataset.done);
  });
}

async function send(path, fields, done) {
  let answer;
  try {
    answer = await ask(path, { method: "POST", headers: { accept: "application/json" }, body: fields });
  } catch {
    toast(gettext("The server cannot be reached. Nothing was changed."));
    return;
  }
  if (answer.status === 401) return;
  if (!answer.ok) {
    toast(REFUSALS[answer.status] ?? gettext("That did not work. Nothing was changed."));
    return;
  }
  const { done: words, undo } = await answer.json();
  const run = () => send(undo.action, new URLSearchParams(undo.fields), gettext("Undone"));
  toast(words ?? done, undo && { label: gettext("Undo"), run });
  document.dispatchEvent(new CustomEvent("playhead:acted", { detail: { path } }));
  await refresh();
}
