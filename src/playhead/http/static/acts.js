// Sends small forms (`form[data-act]`) in place of loading a page, tells what was done, and offers to undo it.
//
// The server answers a form that asks for JSON with {"undo": {"action": path, "fields": {…}}}, or {} where there is no
// way back. Without scripts the same form is sent as any other, and the server leads back to where it was.
import { ask } from "./page.js";
import { refresh } from "./live.js";
import { toast } from "./toast.js";

export function enhanceActs() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-act]");
    if (!form || event.defaultPrevented) return;
    event.preventDefault();
    form.closest("details")?.removeAttribute("open");
    const path = new URL(form.action).pathname.slice(document.documentElement.dataset.base.length);
    send(path, new URLSearchParams(new FormData(form, event.submitter)), form.dataset.done);
  });
}

async function send(path, fields, done) {
  let answer;
  try {
    answer = await ask(path, { method: "POST", headers: { accept: "application/json" }, body: fields });
  } catch {
    toast("The server is out of reach. Nothing was changed.");
    return;
  }
  if (answer.status === 401) return;
  if (!answer.ok) {
    toast(answer.status === 503 ? "The server is busy. Try again in a moment." : "This did not work. Nothing was changed.");
    return;
  }
  const { undo } = await answer.json();
  toast(done, undo && { label: "Undo", run: () => send(undo.action, new URLSearchParams(undo.fields), "Undone") });
  document.dispatchEvent(new CustomEvent("playhead:acted", { detail: { path } }));
  await refresh();
}
