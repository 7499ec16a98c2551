// The name of this device in reports: the one that its user gave it, else browser and system.
import { keep, recall } from "./memory.js";

const KEY = "playhead.device";

const BROWSERS = [
  [/\bEdg(?:e|A|iOS)?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(?:Firefox|FxiOS)\//, "Firefox"],
  [/\b(?:Headless)?Chrome\/|\bCriOS\//, "Chrome"],
  [/\bVersion\/.*Safari\//, "Safari"],
];

const SYSTEMS = [
  [/\bTizen\b|\bWeb0S\b|\bSmart-?TV\b|\bBRAVIA\b|\bAFT[A-Z]/i, "a television"],
  [/\biPad\b/, "iPad"],
  [/\biPhone\b/, "iPhone"],
  [/\bAndroid\b/, "Android"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "Mac"],
  [/\bLinux\b/, "Linux"],
];

export function guessedName(agent) {
  const of = (table) => table.find(([pattern]) => pattern.test(agent))?.[1];
  return [of(BROWSERS) ?? "Browser", of(SYSTEMS)].filter(Boolean).join(" on ");
}

export function deviceName() {
  return recall(KEY) || guessedName(navigator.userAgent);
}

// Without a name it uses the guessed one again.
export function nameDevice(name) {
  keep(KEY, name.trim().slice(0, 60));
}
