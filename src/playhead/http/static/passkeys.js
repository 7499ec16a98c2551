// Forms that need a passkey (`form[data-passkey]`): "get" an existing one, "create" a new one. The authenticator's
// answer is put into the form, which is then submitted normally. Without this script, or in a browser without passkeys,
// the forms stay hidden, and a password is used.
import { gettext } from "./words.js";

const base = document.documentElement.dataset.base;

const WORDS = {
  NotAllowedError: gettext("Nothing was chosen, or it took too long."),
  InvalidStateError: gettext("This device already has a passkey for your account."),
  SecurityError: gettext("Passkeys only work at the address that the admin has set."),
};

if (window.PublicKeyCredential) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(form);
    });
  }
}

async function run(form) {
  const fault = form.querySelector(".fault[role=alert]");
  fault.hidden = true;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const creates = form.dataset.passkey === "create";
    const begun = await fetch(`${base}${creates ? "/settings/sign-in/passkeys/begin" : "/sign-in/passkey/begin"}`, {
      method: "POST",
      cache: "no-store",
      headers: { accept: "application/json" },
      body: new URLSearchParams(creates ? { current: form.elements.current?.value ?? "" } : {}),
    });
    const answer = await begun.json();
    if (!begun.ok) throw new Error(answer.refusal ?? gettext("That did not work"));
    const credential = creates
      ? await navigator.credentials.create({ publicKey: readable(answer.options) })
      : await navigator.credentials.get({ publicKey: readable(answer.options) });
    form.elements.step.value = answer.step;
    form.elements.credential.value = JSON.stringify(sendable(credential));
    if (form.elements.current) form.elements.current.value = "";
    form.submit();
  } catch (error) {
    fault.textContent = WORDS[error.name] ?? `${error.message.replace(/\.$/, "")}.`;
    fault.hidden = false;
    button.disabled = false;
  }
}

// The options' bytes are base64url in JSON. Browsers have parsed them on their own only since 2023 to 2025.
function readable(options) {
  const known = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));
  const read = { ...options, challenge: bytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) read.excludeCredentials = known(options.excludeCredentials);
  if (options.allowCredentials) read.allowCredentials = known(options.allowCredentials);
  return read;
}

function sendable({ id, rawId, type, authenticatorAttachment, response }) {
  const answer = { clientDataJSON: text(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) answer[name] = text(response[name]);
  }
  return { id, rawId: text(rawId), type, authenticatorAttachment, response: answer };
}

function bytes(base64url) {
  const binary = atob(base64url.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
